"""What plugins are asked, and how."""
