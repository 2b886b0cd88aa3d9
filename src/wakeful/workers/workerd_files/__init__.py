"""Objects out of workerd's files and into them."""
