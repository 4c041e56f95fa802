"""Pictures by their address: which addresses may be asked, and how."""
