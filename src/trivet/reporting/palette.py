"""Colours by role, for light and dark paper: Okabe and Ito's palette, which colour-blind readers can tell apart."""

ROLES = {  # role: (on white, on dark)
    "blue": ("#0072B2", "#5AA9E6"),
    "orange": ("#E69F00", "#E69F00"),
    "green": ("#009E73", "#2CC299"),
    "purple": ("#CC79A7", "#DE95BD"),
    "red": ("#D55E00", "#F0803C"),
    "sky": ("#56B4E9", "#8FD0F7"),
    "pale": ("#A9AEB5", "#767D87"),
    "ink": ("#1F2328", "#E6E8EB"),
    "muted": ("#59636E", "#9BA4AF"),
    "grid": ("#E3E6EA", "#333A43"),
    "paper": ("#FFFFFF", "#15181C"),
    "white": ("#FFFFFF", "#FFFFFF"),  # marks on a coloured ground, the same on both
    "black": ("#1F2328", "#1F2328"),
}
SERIES = ("blue", "orange", "green", "purple", "red", "sky")
SEQUENTIAL = "Cividis"  # one hue order for every eye; plotly's and matplotlib's name differ only in case
