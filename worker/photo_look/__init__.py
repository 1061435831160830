"""Photo looks: a photograph of a suit, a mask and marked panels made into an ordinary look pack.

plan      panels.json: outlines, grain lines and the scale, checked
panels    which panel each pixel of cloth is of, and where in the cloth it lies
coverage  how much of each pixel is cloth, and what lies beside it
light     the light on the cloth, without the colour and pattern of the suit that was photographed
pack      the look pack, written whole or not at all
command   python -m worker.looks from-photo
"""
