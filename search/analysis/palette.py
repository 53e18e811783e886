"""The colours of every picture, chart and page: Okabe and Ito's (2008), which stay apart in all forms of colour-blindness."""

BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
AMBER, SKY = "#e69f00", "#56b4e9"
INK, GREY = "#222222", "#767676"
# Of curves that stand side by side: those above, then darker and paler ones of the same hues.
SERIES = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, "#00405f", "#8a3c00", "#005a41", "#8c4a72", "#8a5f00", "#444444")
SHADES = ((247, 251, 255), (8, 48, 107))  # of a share, from 0 to 1
NEGATIVE, ZERO, POSITIVE = (213, 94, 0), (250, 250, 250), (0, 114, 178)  # of a value with a sign
