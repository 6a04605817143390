"""A zoo of hostile actions: each must end in time, with the right status, and harm nobody."""
