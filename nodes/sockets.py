"""The pack's own sockets, each with its payload; pictures are core's IMAGE, masks its MASK."""

from comfy_api.latest import io

DiffusionModel = io.Custom("FACE_DIFFUSION_MODEL")  # host.ManagedModel[process.DiffusionModel]
IdentityModel = io.Custom("FACE_IDENTITY_MODEL")  # host.ManagedModel[identity.IdentityEncoder]
ParserModel = io.Custom("FACE_PARSER")  # host.ManagedModel[parsing.FaceParser]
GazeModel = io.Custom("FACE_GAZE_MODEL")  # host.ManagedModel[gaze.GazeEstimator]
Landmarker = io.Custom("FACE_LANDMARKER")  # host.ManagedModel[landmarks.FaceLandmarker]
ClipModel = io.Custom("FACE_CLIP_MODEL")  # host.ManagedModel[clip.ClipEncoder]
LpipsModel = io.Custom("FACE_LPIPS_MODEL")  # host.ManagedModel[lpips.Lpips]

Parsing = io.Custom("FACE_PARSING")  # parsing.FaceParsing of a batch
Eyes = io.Custom("FACE_EYES")  # eyes.EyeBoxes of a batch
Embedding = io.Custom("FACE_EMBEDDING")  # (n,E) embeddings of unit length
Guidance = io.Custom("FACE_GUIDANCE")  # guidance.Chain, first wired first
Metrics = io.Custom("FACE_METRICS")  # metrics.EditMetrics

Faces = io.Custom("FACES")  # records.Faces of a batch of photos

BoundingBoxes = io.Custom("BOUNDING_BOX")  # core's: a list a picture of {"x", "y", "width", ...}
Landmarks = io.Custom("FACE_LANDMARKS")  # core's: {"frames": [[{"landmarks_xy": (478,2), ...}]]}
