"""What actions leave behind: files in a folder of the run's own, and what they tell on standard output.

Content is kept in PostgreSQL in pieces of 1 MiB: workers and web share nothing else. It is streamed
both ways, so that no file is ever whole in memory.
"""
