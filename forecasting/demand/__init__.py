"""What demand was, and what people told of it: readings, traces, calendars, and the numbers that tell of change."""
