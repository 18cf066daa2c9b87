"""What is recorded unasked: code, environment, machine, console."""
