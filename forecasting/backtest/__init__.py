"""Forecasters replayed over a history that is known, and scored side by side. See docs/backtest.md."""
