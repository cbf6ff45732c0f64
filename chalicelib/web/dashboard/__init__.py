"""The dashboard: pages for people, served by the same app, on top of the same API that programs use."""
