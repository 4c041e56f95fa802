"""What holds for every connection before a request is whole: sizes, times and numbers."""
