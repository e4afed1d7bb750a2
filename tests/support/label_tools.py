"""One scene, labelled by hand, as each annotation tool would have exported it."""

import json

import numpy as np
from PIL import Image
from support.label_encodings import brush, png, runs, sly_bitmap

HEIGHT, WIDTH = 10, 16
NAMES = ("background", "road", "car")
COLORS = {"background": (0, 0, 0), "road": (128, 64, 128), "car": (0, 0, 142)}
TRUTH = np.array(
    [
        ["brc".index(pixel.replace(".", "b")) for pixel in row]
        for row in (
            "................",
            "................",
            "................",
            "................",
            "...cccccc.......",
            "...cccccc.......",
            "rrrccccccrrrrrrr",
            "rrrccccccrrrrrrr",
            "rrrrrrrrrrrrrrrr",
            "rrrrrrrrrrrrrrrr",
        )
    ],
    np.uint8,
)
# Corners as distances, and as numbers of the outermost pixels. The car covers a part of the road.
ROAD, CAR = (0, 6, 16, 10), (3, 4, 9, 8)
STEMS = {"train": ("a", "b", "c"), "val": ("d",)}


def ring(box):
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def pixels(box):
    left, top, right, bottom = box
    return ring((left, top, right - 1, bottom - 1))


def picture(path, *, size=(HEIGHT, WIDTH), orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), np.uint8))
    exif = Image.Exif()
    if orientation is not None:
        exif[274] = orientation
    image.save(path, exif=exif)
    return path


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def filled(box):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = True
    return mask


def labelme(root):
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / split / f"{stem}.jpg")
            shapes = [
                {"label": name, "points": pixels(box), "shape_type": "polygon", "group_id": None}
                for name, box in (("road", ROAD), ("car", CAR))
            ]
            document = {"imagePath": f"..\\{split}\\{stem}.jpg", "imageData": None, "shapes": shapes}
            document |= {"imageHeight": HEIGHT, "imageWidth": WIDTH}
            write_json(root / split / f"{stem}.json", document)
    return root


def coco_document(stems, segmentations, *, ids=(7, 3), extra=()):
    """A file of COCO with the same objects in each picture; the class ids are those of road and car."""
    images, annotations = [], []
    for number, stem in enumerate(stems):
        images.append({"id": number + 10, "file_name": f"{stem}.jpg", "height": HEIGHT, "width": WIDTH})
        for category, segmentation in zip(ids, segmentations, strict=True):
            entry = {"image_id": number + 10, "category_id": category, "segmentation": segmentation}
            annotations.append(entry | {"id": len(annotations), "iscrowd": 0, "bbox": [0, 0, 1, 1]})
    categories = [{"id": ids[0], "name": "road"}, {"id": ids[1], "name": "car"}, *extra]
    return {"images": images, "annotations": annotations, "categories": categories}


def polygons():
    return [[np.ravel(ring(box)).tolist()] for box in (ROAD, CAR)]


def plain_runs():
    return [{"size": [HEIGHT, WIDTH], "counts": runs(filled(box), "F")} for box in (ROAD, CAR)]


def text_runs():
    """As `pycocotools.mask.encode` gives them for the two shapes."""
    return [
        {"size": [HEIGHT, WIDTH], "counts": "64600000000000000000000000000000"},
        {"size": [HEIGHT, WIDTH], "counts": "R146000000000R2"},
    ]


def coco(root, segmentations=None):
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / f"{split}2017" / f"{stem}.jpg")
        document = coco_document(stems, segmentations or polygons())
        write_json(root / "annotations" / f"instances_{split}2017.json", document)
    return root


def panoptic(root):
    ids = np.array([0, 300, 70000])[TRUTH]
    mask = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    for split, stems in STEMS.items():
        images, annotations = [], []
        for number, stem in enumerate(stems):
            picture(root / f"{split}2017" / f"{stem}.jpg")
            below = root / "annotations" / f"panoptic_{split}2017"
            below.mkdir(parents=True, exist_ok=True)
            (below / f"{stem}.png").write_bytes(png(mask))
            images.append({"id": number, "file_name": f"{stem}.jpg", "height": HEIGHT, "width": WIDTH})
            segments = [{"id": 300, "category_id": 7}, {"id": 70000, "category_id": 9}]
            annotations.append({"image_id": number, "file_name": f"{stem}.png", "segments_info": segments})
        categories = [{"id": 9, "name": "car"}, {"id": 7, "name": "road"}]
        document = {"images": images, "annotations": annotations, "categories": categories}
        write_json(root / "annotations" / f"panoptic_{split}2017.json", document)
    return root


def cvat(root):
    images = []
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / "images" / split / f"{stem}.jpg")
            road = ";".join(f"{x:.2f},{y:.2f}" for x, y in ring(ROAD))
            left, top, right, bottom = CAR
            counts = f"0, {(right - left) * (bottom - top)}"
            images.append(
                f'<image id="{len(images)}" name="{stem}.jpg" subset="{split}" width="{WIDTH}" '
                f'height="{HEIGHT}">'
                f'<mask label="car" rle="{counts}" left="{left}" top="{top}" width="{right - left}" '
                f'height="{bottom - top}" z_order="1"/>'
                f'<polygon label="road" points="{road}" z_order="0"/></image>'
            )
    labels = "".join(
        f"<label><name>{name}</name><color>#{bytes(COLORS[name]).hex()}</color></label>"
        for name in ("road", "car")
    )
    text = f"<annotations><meta><task><labels>{labels}</labels></task></meta>{''.join(images)}</annotations>"
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}')
    return root


def colored(mask=TRUTH):
    return np.array([COLORS[name] for name in NAMES], np.uint8)[mask]


def cvat_masks(root):
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (root / "SegmentationClass").mkdir()
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / "JPEGImages" / f"{stem}.jpg")
            (root / "SegmentationClass" / f"{stem}.png").write_bytes(png(colored()))
        (lists / f"{split}.txt").write_text("\n".join(stems) + "\n")
    rows = [f"{name}:{','.join(map(str, COLORS[name]))}::" for name in NAMES]
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(rows) + "\n")
    return root


def color_folder(root, suffix=".png", **options):
    (root / "masks").mkdir(parents=True)
    for stem in (stem for stems in STEMS.values() for stem in stems):
        picture(root / "images" / f"{stem}.jpg")
        large = colored().repeat(8, axis=0).repeat(8, axis=1) if suffix == ".jpg" else colored()
        picture(root / "images" / f"{stem}.jpg", size=large.shape[:2])
        Image.fromarray(large).save(root / "masks" / f"{stem}{suffix}", **options)
    table = "name,r,g,b\n" + "".join(f"{name},{','.join(map(str, COLORS[name]))}\n" for name in NAMES)
    (root / "colors.csv").write_text(table)
    return root


def colors_in_json(root):
    color_folder(root)
    (root / "colors.csv").unlink()
    write_json(root / "colors.json", {name: list(COLORS[name]) for name in NAMES})
    return root


def yolo(root):
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / split / "images" / f"{stem}.jpg")
            lines = [
                f"{index} " + " ".join(f"{x / WIDTH:g} {y / HEIGHT:g}" for x, y in ring(box))
                for index, box in enumerate((ROAD, CAR))
            ]
            below = root / split / "labels"
            below.mkdir(exist_ok=True)
            (below / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    text = "train: ../train/images\nval: ../val/images\nnc: 2\nnames: ['road', 'car']\n"
    (root / "data.yaml").write_text(text)
    return root


def supervisely(root):
    classes = [
        {"title": name, "shape": "any", "color": f"#{bytes(COLORS[name]).hex()}"} for name in ("road", "car")
    ]
    write_json(root / "meta.json", {"classes": classes})
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / split / "img" / f"{stem}.jpg")
            objects = [
                {
                    "classTitle": "road",
                    "geometryType": "polygon",
                    "points": {"exterior": pixels(ROAD), "interior": []},
                },
                {"classTitle": "car", "geometryType": "bitmap", "bitmap": sly_bitmap(filled(CAR))},
            ]
            document = {"size": {"height": HEIGHT, "width": WIDTH}, "tags": [], "objects": objects}
            write_json(root / split / "ann" / f"{stem}.jpg.json", document)
    return root


def roboflow(root):
    for split, stems in (("train", STEMS["train"]), ("valid", STEMS["val"])):
        for stem in stems:
            picture(root / split / f"{stem}.jpg")
            (root / split / f"{stem}_mask.png").write_bytes(png(TRUTH))
        rows = "".join(f"{value}, {name}\n" for value, name in enumerate(NAMES))
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n" + rows)
    return root


def label_studio(root):
    tasks = []
    for split, stems in STEMS.items():
        for stem in stems:
            picture(root / split / f"{stem}.jpg")
            points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in ring(ROAD)]
            size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
            result = [
                {"id": "r", "type": "polygonlabels", "value": {"points": points, "polygonlabels": ["road"]}},
                {
                    "id": "c",
                    "type": "brushlabels",
                    "value": {"format": "rle", "rle": brush(filled(CAR)), "brushlabels": ["car"]},
                },
            ]
            task = {"id": len(tasks), "data": {"image": f"/data/upload/1/0a1b2c3d-{stem}.jpg"}}
            task["annotations"] = [{"was_cancelled": False, "result": [size | row for row in result]}]
            tasks.append(task)
    write_json(root / "project-1.json", tasks)
    return root


def via(root):
    for split, stems in STEMS.items():
        held = {}
        for stem in stems:
            size = picture(root / split / f"{stem}.jpg").stat().st_size
            xs, ys = zip(*ring(ROAD), strict=True)
            left, top, right, bottom = CAR
            box = {"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top}
            shapes = [{"name": "polygon", "all_points_x": xs, "all_points_y": ys}, box]
            names = ("road", "car")
            regions = [
                {"shape_attributes": shape, "region_attributes": {"class": name}}
                for shape, name in zip(shapes, names, strict=True)
            ]
            row = {"filename": f"{stem}.jpg", "size": size, "regions": regions, "file_attributes": {}}
            held[f"{stem}.jpg{size}"] = row
        write_json(root / split / "via_region_data.json", held)
    return root


def parquet(root):
    import pyarrow
    import pyarrow.parquet

    for split, stems in STEMS.items():
        path = root / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = []
        for stem in stems:
            data = picture(root / "new" / f"{stem}.jpg").read_bytes()
            rows.append(
                {
                    "image": {"bytes": data, "path": f"{stem}.jpg"},
                    "label": {"bytes": png(TRUTH), "path": f"{stem}.png"},
                }
            )
            (root / "new" / f"{stem}.jpg").unlink()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    write_json(root / "id2label.json", {str(index): name for index, name in enumerate(NAMES)})
    return root
