"""The worker: claims scheduled executions under a lease, runs them, stores how they ended."""
