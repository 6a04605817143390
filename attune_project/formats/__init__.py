"""How the admin writes times: to the second and sortable, since that is what one looks for in a chain."""
