"""One module per section of the report: each turns tables into a Section and reads no file."""
