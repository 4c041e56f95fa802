"""What the pages show, as values without Streamlit."""
