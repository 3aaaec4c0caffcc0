"""The look shared by console and portal: skeleton page, components, built style sheet and scripts. Knows no domain."""
