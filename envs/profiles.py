"""Profiles of published clusters and services for the generator, each number with its source.

`philly`   Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", ATC'19. Eleven
           virtual clusters measured on the passed jobs of the public trace, 2017-09-25 to 11-05 (`calibration`); how
           jobs end is the paper's table of final states.
`helios`   Hu et al., "Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU Datacenters",
           SC'21. Two virtual clusters of Venus measured on their jobs of 2020-09-01 to 09-14, one of which runs gangs
           of up to 128 GPUs, and a queue as the whole is published.
`pai`      Weng et al., "MLaaS in the Wild: Workload Analysis and Scheduling in Large-Scale Heterogeneous GPU
           Clusters", NSDI'22. Published figures only, nothing measured; a tenth of the cluster.

`services` Loads measured on three public traces of requests to language models, and the replicas that an autoscaler
           wants for them: a week of conversations on Azure in 2024 (Stojkovic et al., "DynamoLLM: Designing LLM
           Inference Clusters for Performance and Energy Efficiency", HPCA'25); two months of the API of BurstGPT (Wang
           et al., "BurstGPT: A Real-World Workload Dataset to Optimize LLM Serving Systems", KDD'25); two weeks of the
           model `m-large` of Alibaba (Xiang et al., "ServeGen: Workload Characterization and Generation of Large
           Language Model Serving in Production", 2025).

Measured figures are rounded to two digits. How like the traces the generated jobs are: `python -m benchmarks.fidelity`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from envs.loads import MadeLoad
from envs.services import Service, ServiceQueue
from envs.workloads import DAY_S, Ends, Profile, Rhythm, Runs, TrainingProfile


@dataclass(frozen=True, slots=True)
class Published:
    """A profile that has a name, and where it is from."""

    name: str
    what: str
    source: str
    profile: Profile


PHILLY_PASSED = 0.693
"""Share of jobs that passed, ATC'19; 13.5 % were killed and 17.2 % did not succeed."""

# They took 44.5, 37.7 and 17.8 % of GPU time (same table): per job, killed ones 4.3 times as much, failed ones 1.6.
PHILLY_ENDS = Ends(1, killed=0.135, failed=0.172, killed_stretch=4.3, failed_stretch=1.6)

_PHILLY_PASSED_JOBS = (
    TrainingProfile(
        "0e4a51",
        0.9,
        rhythm=Rhythm(21.7, 0.66, 0.46),
        gang_mix=((1, 0.5), (2, 0.19), (4, 0.31)),
        longest_s=31 * DAY_S,
        sweep_share=0.56,
        sweep_jobs=47.0,
        runs=(Runs(1, 180, 93000, 240000, 330000),),
        sweep_runs=(
            Runs(1, 160, 200, 310000, 450000),
            Runs(2, 70000, 180000, 560000, 1.5e06),
            Runs(3, 35000, 140000, 1.1e06, 2.5e06),
        ),
        sweep_gap_s=4.0,
        sweep_sigma=1.0,
    ),
    TrainingProfile(
        "103959",
        22.0,
        rhythm=Rhythm(8.5, 0.29, 0.6),
        gang_mix=((1, 0.82), (2, 0.021), (4, 0.16)),
        longest_s=4 * DAY_S,
        sweep_share=0.0012,
        sweep_jobs=13.0,
        runs=(
            Runs(1, 130, 420, 24000, 33000),
            Runs(3, 2100, 110000, 190000, 220000),
        ),
        sweep_gap_s=0.5,
    ),
    TrainingProfile(
        "11cb48",
        180.0,
        rhythm=Rhythm(1.9, 0.0, 0.96),
        gang_mix=((1, 0.89), (2, 0.1)),
        longest_s=24 * DAY_S,
        sweep_share=0.0073,
        sweep_jobs=16.0,
        sweep_max_gpus=1,
        runs=(
            Runs(1, 60, 71, 170, 29000),
            Runs(2, 9, 17, 31, 580),
        ),
        sweep_runs=(Runs(1, 27, 3900, 16000, 44000),),
        sweep_gap_s=3.0,
        sweep_sigma=0.7,
    ),
    TrainingProfile(
        "2869ce",
        5.4,
        rhythm=Rhythm(14.2, 1.0, 0.26),
        gang_mix=((1, 0.084), (2, 0.011), (4, 0.034), (8, 0.76), (32, 0.11)),
        longest_s=7 * DAY_S,
        sweep_share=0.039,
        sweep_jobs=6.4,
        sweep_max_gpus=32,
        runs=(Runs(5, 390, 20000, 230000, 450000),),
        sweep_runs=(Runs(5, 170000, 190000, 230000, 240000),),
        sweep_gap_s=10.0,
        sweep_sigma=0.2,
    ),
    TrainingProfile(
        "6214e9",
        56.0,
        rhythm=Rhythm(4.8, 0.39, 0.39),
        gang_mix=((1, 0.94), (4, 0.034), (8, 0.023)),
        longest_s=32 * DAY_S,
        sweep_share=0.18,
        sweep_jobs=79.0,
        sweep_max_gpus=1,
        runs=(
            Runs(1, 53, 1200, 14000, 1.6e06),
            Runs(3, 880, 23000, 290000, 1.5e06),
            Runs(5, 3300, 13000, 36000, 98000),
        ),
        sweep_runs=(
            Runs(1, 54, 2100, 5900, 15000),
            Runs(3, 12000, 14000, 32000, 48000),
            Runs(5, 430, 5700, 35000, 36000),
        ),
        sweep_gap_s=7.0,
        sweep_sigma=1.4,
    ),
    TrainingProfile(
        "6c71a0",
        55.0,
        rhythm=Rhythm(22.4, 0.35, 0.3),
        gang_mix=((1, 0.79), (2, 0.0076), (4, 0.12), (8, 0.076)),
        longest_s=19 * DAY_S,
        sweep_share=0.11,
        sweep_jobs=41.0,
        sweep_max_gpus=1,
        runs=(
            Runs(1, 60, 370, 66000, 880000),
            Runs(3, 67, 250, 6400, 77000),
            Runs(5, 250, 40000, 240000, 620000),
        ),
        sweep_runs=(
            Runs(1, 590, 1300, 16000, 100000),
            Runs(3, 50, 130, 410, 2400),
        ),
        sweep_gap_s=3.0,
        sweep_sigma=1.1,
    ),
    TrainingProfile(
        "7f04ca",
        11.0,
        rhythm=Rhythm(4.1, 0.43, 0.4),
        gang_mix=((1, 0.24), (4, 0.52), (8, 0.24)),
        longest_s=26 * DAY_S,
        sweep_share=0.033,
        sweep_jobs=7.5,
        runs=(
            Runs(1, 300, 6500, 350000, 690000),
            Runs(3, 660, 56000, 170000, 530000),
            Runs(5, 940, 270000, 1.1e06, 2.1e06),
        ),
        sweep_runs=(
            Runs(1, 5000, 230000, 560000, 1.3e06),
            Runs(3, 700, 81000, 100000, 360000),
        ),
        sweep_gap_s=10.0,
        sweep_sigma=0.2,
    ),
    TrainingProfile(
        "b436b2",
        5.4,
        rhythm=Rhythm(6.5, 0.36, 1.25),
        gang_mix=((1, 0.65), (2, 0.0041), (4, 0.21), (8, 0.095), (16, 0.045)),
        longest_s=20 * DAY_S,
        sweep_share=0.27,
        sweep_jobs=160.0,
        sweep_max_gpus=1,
        runs=(
            Runs(1, 400, 1800, 63000, 170000),
            Runs(3, 21000, 230000, 820000, 1.3e06),
            Runs(5, 2100, 91000, 420000, 500000),
        ),
        sweep_runs=(Runs(1, 710, 1400, 2200, 3200),),
        sweep_sigma=1.4,
    ),
    TrainingProfile(
        "e13805",
        5.4,
        rhythm=Rhythm(10.3, 0.46, 0.42),
        gang_mix=((1, 0.56), (2, 0.011), (4, 0.27), (8, 0.064), (12, 0.037), (16, 0.021), (24, 0.021), (32, 0.016)),
        longest_s=11 * DAY_S,
        sweep_share=0.0,
        sweep_jobs=1.0,
        sweep_max_gpus=1,
        runs=(
            Runs(1, 330, 31000, 210000, 590000),
            Runs(3, 470, 16000, 36000, 45000),
        ),
    ),
    TrainingProfile(
        "ed69ec",
        7.7,
        rhythm=Rhythm(2.5, 0.42, 0.43),
        gang_mix=((1, 1.0),),
        longest_s=3 * DAY_S,
        sweep_share=0.1,
        sweep_jobs=22.0,
        sweep_max_gpus=1,
        runs=(Runs(1, 43000, 73000, 110000, 170000),),
        sweep_runs=(Runs(1, 700, 1200, 59000, 97000),),
        sweep_gap_s=6.0,
        sweep_sigma=0.9,
    ),
    TrainingProfile(
        "ee9e8c",
        18.0,
        rhythm=Rhythm(3.3, 0.4, 0.83),
        gang_mix=((1, 0.35), (2, 0.039), (4, 0.25), (8, 0.31), (16, 0.049)),
        longest_s=13 * DAY_S,
        sweep_share=0.022,
        sweep_jobs=5.5,
        sweep_max_gpus=2,
        runs=(
            Runs(1, 170, 37000, 150000, 440000),
            Runs(2, 26000, 52000, 110000, 140000),
            Runs(3, 7800, 35000, 110000, 390000),
            Runs(5, 25000, 180000, 560000, 930000),
            Runs(9, 76, 58000, 170000, 260000),
        ),
        sweep_runs=(Runs(1, 110, 59000, 85000, 140000),),
        sweep_gap_s=19.0,
        sweep_sigma=0.1,
    ),
)


def _with_those_that_did_not_pass(part: TrainingProfile) -> TrainingProfile:
    """As many jobs pass as were measured; the others come on top. A sweep is as many sweeps, with more jobs each."""
    return replace(
        part,
        submissions_per_day=part.submissions_per_day / PHILLY_PASSED,
        sweep_share=part.sweep_share * PHILLY_PASSED,
        sweep_jobs=part.sweep_jobs / PHILLY_PASSED,
        longest_s=part.longest_s * PHILLY_ENDS.killed_stretch,
        habits=True,
        ends=(PHILLY_ENDS,),
    )


PHILLY: Profile = tuple(map(_with_those_that_did_not_pass, _PHILLY_PASSED_JOBS))

HELIOS_PUBLISHED = TrainingProfile(
    # 1,580,464 GPU jobs in six months on four clusters (the trace's README); this is a tenth of one cluster.
    "shared",
    216.0,
    # A plain working day: the paper has a picture of it, but no figures.
    rhythm=Rhythm(15.0, 0.5, 0.6),
    # More than half take one GPU; 3.7 GPUs in the mean.
    gang_mix=((1, 0.55), (2, 0.12), (4, 0.12), (8, 0.16), (16, 0.035), (32, 0.012), (64, 0.003)),
    # A median of 206 s and a mean of 6,652 s: for a log-normal, sigma = sqrt(2 ln(6652 / 206)).
    median_s=206.0,
    growth=0.0,
    sigma=2.64,
    longest_s=50 * DAY_S,
    users=60,
    habits=True,
    # 62.4 % complete; the others part into cancelled and failed as in the two virtual clusters of Venus.
    ends=(Ends(1, killed=0.205, failed=0.171),),
    sweep_share=0.0,
)

_HELIOS_VENUS = (
    TrainingProfile(
        "vcvGl",
        57.0,
        rhythm=Rhythm(16.0, 0.43, 0.06),
        gang_mix=(
            (1, 0.055),
            (2, 0.069),
            (3, 0.0052),
            (4, 0.11),
            (5, 0.0052),
            (6, 0.01),
            (8, 0.25),
            (16, 0.093),
            (24, 0.015),
            (32, 0.046),
            (40, 0.0069),
            (48, 0.0086),
            (56, 0.028),
            (64, 0.038),
            (80, 0.0052),
            (88, 0.0052),
            (96, 0.019),
            (112, 0.015),
            (120, 0.1),
            (128, 0.12),
        ),
        longest_s=5 * DAY_S,
        users=4,
        recurrence=0.21,
        sweep_share=0.0086,
        sweep_jobs=71.0,
        sweep_max_gpus=128,
        runs=(
            Runs(1, 50, 64, 110, 120),
            Runs(2, 88, 180, 220, 240),
            Runs(3, 22, 92, 110, 760),
            Runs(5, 23, 180, 1400, 170000),
            Runs(9, 77, 290, 11000, 320000),
            Runs(33, 65, 290, 1900, 85000),
        ),
        sweep_runs=(Runs(33, 4, 5, 11, 3300),),
        sweep_gap_s=5.0,
        sweep_sigma=1.6,
        user_tilt=1.7,
        habits=True,
        ends=(
            Ends(1, 0.03, 0.16),
            Ends(2, 0, 0.09),
            Ends(5, 0.24, 0.04, killed_stretch=1.5),
            Ends(9, 0.35, 0.28, killed_stretch=0.68, failed_stretch=0.00017),
            Ends(33, 0.31, 0.54, killed_stretch=2.3, failed_stretch=0.12),
        ),
    ),
    TrainingProfile(
        "vcvlY",
        8.1,
        rhythm=Rhythm(15.0, 1.0, 0.06),
        gang_mix=((8, 1.0),),
        longest_s=4 * DAY_S,
        users=2,
        sweep_share=0.0,
        sweep_jobs=1.0,
        sweep_max_gpus=1,
        runs=(Runs(5, 170, 480, 130000, 290000),),
        user_tilt=4.0,
        habits=True,
        ends=(Ends(5, 0.49, 0.45),),
    ),
)

HELIOS: Profile = (*_HELIOS_VENUS, HELIOS_PUBLISHED)

PAI: Profile = (
    TrainingProfile(
        # 1.26 million tasks in two months; this is a tenth of them.
        "pai",
        2_000.0,
        rhythm=Rhythm(14.0, 0.4, 0.8),  # by day more than by night; not by figures
        # Most ask for less than one GPU, which is one here; about a fifth of instances are in gangs of over 100 GPUs.
        gang_mix=((1, 0.8), (2, 0.06), (4, 0.05), (8, 0.05), (16, 0.02), (32, 0.01), (128, 0.005)),
        # A median of 23 minutes and a 90th percentile of 4.5 hours.
        median_s=1_380.0,
        growth=0.0,
        sigma=1.92,
        longest_s=30 * DAY_S,
        # 1,300 users, of whom 5 % submit 77 % of instances: a tenth of them, tilted so.
        users=130,
        user_tilt=1.53,
        # 65 % of tasks were submitted before.
        recurrence=0.65,
        habits=True,
        sweep_share=0.0,
    ),
)

# What a replica can do is told by none of the sources: two requests a second, on one GPU, is an assumption.
SERVICES: Profile = (
    ServiceQueue(
        # 17.8 million requests from Monday to Friday; of a working day's, Sunday has 56 %.
        Service("conversation", "conversation", capacity_per_s=2.0, concurrency=16, max_replicas=200, target_s=24.0),
        MadeLoad(51.5, 7.0, Rhythm(13.3, 0.2, 0.56), noise=0.13),
    ),
    ServiceQueue(
        # A hundredfold: in 31 % of hours over 500 requests an hour, 52 times as many as in the others.
        Service("api", "api", capacity_per_s=2.0, concurrency=16, max_replicas=200, target_s=24.0),
        MadeLoad(1.43, 7.0, Rhythm(swing=0.0, weekend_share=1.0), 0.0, 1.92, burst_times=52.0, burst_s=13_900.0),
    ),
    ServiceQueue(
        # A tenth. It knows no weekend, hardly a day, and wanders by 39 %: over days, and here over hours.
        Service("m-large", "m-large", capacity_per_s=2.0, concurrency=16, max_replicas=200, target_s=24.0),
        MadeLoad(19.6, 7.0, Rhythm(18.9, 0.12, 1.0), noise=0.39),
    ),
)

PROFILES = (
    Published("philly", "11 virtual clusters of Microsoft's Philly, all end states", "ATC'19 and its trace", PHILLY),
    Published("helios", "2 virtual clusters of SenseTime's Venus and a typical queue", "SC'21 and its trace", HELIOS),
    Published("pai", "a tenth of Alibaba's PAI, all jobs pass", "NSDI'22, figures of the paper only", PAI),
    Published("services", "replicas of three services of language models", "loads of three public traces", SERVICES),
)
"""What `gyropilot traces generate` knows, in the order it is listed."""
