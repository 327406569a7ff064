"""What can be typed: names, options and help. What a command does stands in `actions`, which help does not wait for."""
