"""Where candidates come from: Civitai's API, folders, parquet files and the chat bots' gallery."""
