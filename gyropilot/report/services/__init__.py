"""What became of services, told to people and programs: a part of the reports of simulations and of trials."""
