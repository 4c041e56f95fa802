"""The content of the pages, as values without Streamlit."""
