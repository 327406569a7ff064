"""House rules: office hours, team caps, tickets for big runs."""
