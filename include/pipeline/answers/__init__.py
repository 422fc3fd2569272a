"""Reports and exports for who asks by an API: made now, together, or a moment later."""
