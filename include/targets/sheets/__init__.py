"""Google Sheets: what a spreadsheet holds, and the one step in which a delivery changes it (see `publishing`)."""
