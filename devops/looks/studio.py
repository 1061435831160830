"""The studio: Blender Cycles renders a garment's pieces, one pass at a time.

One Blender unit is 10 cm. The camera looks along +y at the plane of the fronts, 6 cm before the
body's axis; lamp energies are in watts.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import bpy
import mathutils
import numpy as np
from numpy.typing import NDArray

from devops.looks.piece import Piece

Pass = Literal["white", "black", "grey", "room", "data", "disparity"]
MEASURES = ("data", "disparity")  # passes of numbers, not of light
RENDERER = f"Blender {bpy.app.version_string} Cycles"
Image = NDArray[np.float32]  # (height, width, 3), RGB or (u, v, panel) or (1 / cm, figure, cloth)
Surface = Callable[[Any], Any]  # node tree → shader socket
Colour = tuple[float, float, float]

UNITS_PER_CM = 0.1
BOUNCE = 0.12  # share of white cloth's light that falls on its surroundings, whatever the cloth
CLOTH_ALBEDO: dict[Pass, float] = {
    "white": 0.6, "black": 0.0, "grey": 0.5, "room": BOUNCE * 0.6,
}  # fmt: skip
VIEW_HEIGHT_CM = 126.0
CENTRE_Z_CM = 59.5
CAMERA_DISTANCE, FRONT_Y = 52.0, -0.6  # units
DOTS_CM, DOT_RADIUS_CM = 1.0, 0.09  # of the tie
SATIN: Colour = (0.0065, 0.0065, 0.0075)


@dataclass(frozen=True)
class Frame:
    """What to render: size in pixels, samples a pixel, and a part of the picture or all of it."""

    width: int
    height: int
    samples: int
    part: tuple[float, float, float, float] | None = None  # left, top, right, bottom: 0 to 1


def rendered(pieces: Sequence[Piece], kind: Pass, frame: Frame) -> Image:
    """One pass in linear light. Passes of numbers are point-sampled and 0 where nothing stands:
    data is u cm, v cm, panel; disparity is 1 / cm from the camera's plane, 1, and 1 on cloth."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    materials = _materials(kind)
    for piece in pieces:
        _add(scene, piece, materials[piece.material])
    _camera(scene)
    if kind not in MEASURES:
        _backdrop()
        _lamps(scene)
    _configure(scene, frame, data=kind in MEASURES)
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "pass.exr")
        bpy.ops.render.render(write_still=True)
        return _pixels(scene.render.filepath)


def _pixels(path: str) -> Image:
    image = bpy.data.images.load(path)
    width, height = image.size
    flat = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(flat)
    return flat.reshape(height, width, image.channels)[::-1, :, :3].copy()


# --- materials -----------------------------------------------------------------------------------


def _materials(kind: Pass) -> dict[str, Any]:
    if kind in MEASURES:
        data = _material("data", _emission if kind == "data" else _disparity)
        names = ("cloth", "satin", "shirt", "horn", "dark", "linen", "metal", "silk")
        return dict.fromkeys(names, data)
    grey = CLOTH_ALBEDO[kind]
    surfaces = {
        "cloth": _principled((grey, grey, grey), 0.95, specular=0.12),
        "satin": _principled(SATIN, 0.30, specular=0.5, sheen=0.06),
        "shirt": _principled((0.68, 0.715, 0.775), 0.8, specular=0.2),
        "horn": _principled((0.028, 0.02, 0.016), 0.32),
        "dark": _principled((0.008, 0.006, 0.005), 0.9),
        "linen": _principled((0.72, 0.69, 0.63), 0.9, specular=0.1, bump=(40, 0.15)),
        "metal": _principled((0.62, 0.62, 0.62), 0.28, metallic=1),
        "silk": _silk,
    }
    return {name: _material(name, surface) for name, surface in surfaces.items()}


def _material(name: str, surface: Surface) -> Any:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(surface(tree), output.inputs["Surface"])
    return material


def _principled(
    colour: Colour,
    roughness: float = 0.5,
    *,
    metallic: float = 0,
    specular: float = 0.5,
    sheen: float = 0,
    bump: tuple[float, float] | None = None,
) -> Surface:
    """`bump`: noise scale and strength."""

    def surface(tree: Any) -> Any:
        shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
        shader.inputs["Base Color"].default_value = (*colour, 1)
        shader.inputs["Roughness"].default_value = roughness
        shader.inputs["Metallic"].default_value = metallic
        shader.inputs["Sheen Weight"].default_value = sheen
        shader.inputs["Specular IOR Level"].default_value = specular
        if bump:
            _bump(tree, shader, *bump)
        return shader.outputs[0]

    return surface


def _bump(tree: Any, shader: Any, scale: float, strength: float) -> None:
    noise, node = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeBump")
    noise.inputs["Scale"].default_value = scale
    noise.inputs["Detail"].default_value = 4
    node.inputs["Strength"].default_value = strength
    node.inputs["Distance"].default_value = 0.02
    where = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(where.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Fac"], node.inputs["Height"])
    tree.links.new(node.outputs["Normal"], shader.inputs["Normal"])


def _silk(tree: Any) -> Any:
    """Dark silk with woven pin dots, in rows on the bias of the piece's own pattern space."""
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Roughness"].default_value = 0.50
    shader.inputs["Specular IOR Level"].default_value = 0.28
    shader.inputs["Sheen Weight"].default_value = 0.08
    place, turn = tree.nodes.new("ShaderNodeAttribute"), tree.nodes.new("ShaderNodeMapping")
    place.attribute_name = "pattern"
    turn.inputs["Rotation"].default_value = (0, 0, np.pi / 4)
    tree.links.new(place.outputs["Vector"], turn.inputs["Vector"])
    grid, dot = tree.nodes.new("ShaderNodeTexVoronoi"), tree.nodes.new("ShaderNodeMath")
    grid.voronoi_dimensions = "2D"
    grid.inputs["Scale"].default_value = 1 / DOTS_CM
    grid.inputs["Randomness"].default_value = 0
    dot.operation = "LESS_THAN"
    dot.inputs[1].default_value = DOT_RADIUS_CM / DOTS_CM
    tree.links.new(turn.outputs["Vector"], grid.inputs["Vector"])
    tree.links.new(grid.outputs["Distance"], dot.inputs[0])
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"  # its colour sockets are inputs 6 and 7, output 2
    mix.inputs[6].default_value = (0.013, 0.016, 0.036, 1)
    mix.inputs[7].default_value = (0.30, 0.33, 0.40, 1)
    tree.links.new(dot.outputs[0], mix.inputs[0])
    tree.links.new(mix.outputs[2], shader.inputs["Base Color"])
    return shader.outputs[0]


def _emission(tree: Any) -> Any:
    place, emission = tree.nodes.new("ShaderNodeAttribute"), tree.nodes.new("ShaderNodeEmission")
    place.attribute_name = "data"
    tree.links.new(place.outputs["Vector"], emission.inputs["Color"])
    return emission.outputs[0]


def _disparity(tree: Any) -> Any:
    camera, inverse = tree.nodes.new("ShaderNodeCameraData"), tree.nodes.new("ShaderNodeMath")
    inverse.operation = "DIVIDE"
    inverse.inputs[0].default_value = UNITS_PER_CM
    tree.links.new(camera.outputs["View Z Depth"], inverse.inputs[1])
    place, parts = tree.nodes.new("ShaderNodeAttribute"), tree.nodes.new("ShaderNodeSeparateXYZ")
    place.attribute_name = "data"
    tree.links.new(place.outputs["Vector"], parts.inputs[0])
    cloth, numbers = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeCombineXYZ")
    cloth.operation = "GREATER_THAN"
    cloth.inputs[1].default_value = 0.5
    tree.links.new(parts.outputs["Z"], cloth.inputs[0])
    tree.links.new(inverse.outputs[0], numbers.inputs["X"])
    numbers.inputs["Y"].default_value = 1
    tree.links.new(cloth.outputs[0], numbers.inputs["Z"])
    emission = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(numbers.outputs[0], emission.inputs["Color"])
    return emission.outputs[0]


# --- scene ---------------------------------------------------------------------------------------


def _add(scene: Any, piece: Piece, material: Any) -> None:
    faces, corners = piece.faces, piece.faces.shape[1]
    mesh = bpy.data.meshes.new(piece.name)
    mesh.vertices.add(len(piece.verts))
    mesh.vertices.foreach_set("co", (piece.verts * UNITS_PER_CM).astype(np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(len(faces), dtype=np.int32) * corners)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.update()
    panel = np.full((len(piece.verts), 1), piece.panel)
    _set_points(mesh, "pattern", np.c_[piece.uv, 0 * panel])
    _set_points(mesh, "data", np.c_[piece.uv, panel] * (piece.panel > 0))
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new(piece.name, mesh))


def _set_points(mesh: Any, name: str, vectors: NDArray[Any]) -> None:
    attribute = mesh.attributes.new(name, "FLOAT_VECTOR", "POINT")
    attribute.data.foreach_set("vector", vectors.astype(np.float32).ravel())


def _camera(scene: Any) -> None:
    lens = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.location = (0, -CAMERA_DISTANCE, CENTRE_Z_CM * UNITS_PER_CM)
    camera.rotation_euler = (np.pi / 2, 0, 0)
    lens.sensor_fit, lens.sensor_height = "VERTICAL", 24
    lens.lens = 24 * (CAMERA_DISTANCE + FRONT_Y) / (VIEW_HEIGHT_CM * UNITS_PER_CM)


def _backdrop() -> None:
    wall = _material("wall", _principled((0.86, 0.86, 0.865), 1, specular=0))
    bpy.ops.mesh.primitive_plane_add(size=80, location=(0, 9, 6), rotation=(np.pi / 2, 0, 0))
    bpy.context.object.data.materials.append(wall)


def _lamps(scene: Any) -> None:
    _lamp(scene, (-18, -12, 15), (0, 0, 6.5), (6, 10), 6600, (1, 0.99, 0.975))  # key
    _lamp(scene, (20, -10, 7), (0, 0, 6), (7, 14), 1350, (0.97, 0.985, 1))  # fill
    _lamp(scene, (0, -4, 24), (0, 0, 7), (10, 6), 1600)  # top
    _lamp(scene, (-2, -30, 9), (0, 0, 6), (10, 12), 1650)  # front
    _lamp(scene, (-9, 5.5, 5), (-9, 9, 5), (4, 22), 900)  # backdrop
    _lamp(scene, (9, 5.5, 5), (9, 9, 5), (4, 22), 1000)
    world = bpy.data.worlds.new("sky")
    scene.world = world
    world.use_nodes = True
    sky = world.node_tree.nodes["Background"]
    sky.inputs[0].default_value = (0.9, 0.93, 1, 1)
    sky.inputs[1].default_value = 0.16


def _lamp(
    scene: Any, place: Colour, target: Colour, size: tuple[float, float], watts: float,
    colour: Colour = (1, 1, 1),
) -> None:  # fmt: skip
    lamp = bpy.data.lights.new("lamp", "AREA")
    lamp.shape, (lamp.size, lamp.size_y) = "RECTANGLE", size
    lamp.energy, lamp.color = watts, colour
    stand = bpy.data.objects.new("lamp", lamp)
    scene.collection.objects.link(stand)
    stand.location = place
    aim = mathutils.Vector(target) - mathutils.Vector(place)
    stand.rotation_euler = aim.to_track_quat("-Z", "Y").to_euler()


def _configure(scene: Any, frame: Frame, *, data: bool) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine, cycles.device = "CYCLES", "CPU"
    cycles.samples, cycles.seed = frame.samples, 3
    cycles.use_adaptive_sampling = not data  # the backdrop is done early
    cycles.adaptive_threshold, cycles.adaptive_min_samples = 0.02, 4
    cycles.max_bounces, cycles.diffuse_bounces = 3, 2
    render.resolution_x, render.resolution_y = frame.width, frame.height
    render.resolution_percentage = 100
    render.threads_mode, render.threads = "FIXED", 2
    cycles.use_denoising = not data
    if frame.part:
        left, top, right, bottom = frame.part
        render.use_border = render.use_crop_to_border = True
        render.border_min_x, render.border_max_x = left, right
        render.border_min_y, render.border_max_y = 1 - bottom, 1 - top
    if data:  # one ray through the middle of each pixel: ids and uv are never blended
        cycles.pixel_filter_type, cycles.filter_width, cycles.samples = "BOX", 0.01, 1
        render.film_transparent = True
    else:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
        cycles.denoising_prefilter = "ACCURATE"
    scene.view_settings.view_transform = "Raw"
    render.image_settings.file_format = "OPEN_EXR"
    render.image_settings.color_depth = "32" if data else "16"
    render.image_settings.color_mode = "RGB"
