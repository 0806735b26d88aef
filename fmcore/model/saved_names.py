"""The classes and functions of Keras that a model's file may name; all else is refused.

They are those of Keras 3.15 that a model consists of: layers, operations, and what these are
configured with. A test compares them with the Keras that is installed, and names what is missing.
"""

from __future__ import annotations

# Layers that run code in the file, or code that it points to.
CODE_LAYERS = frozenset(
    ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
)
# Operations on functions: what these do is not known by their name.
HIGHER_ORDER = frozenset(
    (
        "AssociativeScan",
        "Cond",
        "ForiLoop",
        "Map",
        "Scan",
        "Switch",
        "VectorizedMap",
        "WhileLoop",
        "associative_scan",
        "cond",
        "custom_gradient",
        "fori_loop",
        "map",
        "scan",
        "switch",
        "vectorized_map",
        "while_loop",
    )
)
# How Keras writes values of Python and NumPy.
VALUES = frozenset(
    ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")
)
# Layers, operations, initializers, regularizers, constraints, losses, metrics and so on.
CLASSES = frozenset(
    """
    AUC AWQConfig AWQDTypePolicy Abs AbsMaxQuantizer Absolute Accuracy Activation
    ActivityRegularization Adadelta Adafactor Adagrad Adam AdamW Adamax AdaptiveAveragePool
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPool
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention
    AffineTransform All AllClose AlphaDropout Amax Amin Angle Any Append Arange Arccos Arccosh
    Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit
    Attention AugMix AutoContrast Average AveragePool AveragePooling1D AveragePooling2D
    AveragePooling3D BaseAdaptiveAveragePooling BaseAdaptiveMaxPooling BaseAdaptivePooling
    BaseConv BaseConvTranspose BaseDepthwiseConv BaseGlobalPooling BaseImagePreprocessingLayer
    BasePooling BaseSeparableConv BaseSpatialDropout BatchNorm BatchNormalization Bidirectional
    BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy BinaryIoU Bincount BitwiseAnd
    BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo
    CDist CTC CTCDecode CTCLoss Cast CategoricalAccuracy CategoricalCrossentropy
    CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge
    CategoryEncoding Cbrt Ceil Celu CenterCrop Cholesky CholeskyInverse Circle Clip Concatenate
    ConcordanceCorrelation Conj Conjugate Constant Constraint
    ContrastLimitedAdaptiveHistogramEqualization Conv Conv1D Conv1DTranspose Conv2D
    Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM ConvLSTM1D ConvLSTM2D ConvLSTM3D
    ConvLSTMCell ConvTranspose ConvertToTensor Copy Corrcoef Correlate Cos Cosh CosineDecay
    CosineDecayRestarts CosineSimilarity CountNonzero CropImages Cropping1D Cropping2D
    Cropping3D Cross Cumprod Cumsum CutMix DTypePolicy DTypePolicyMap DataLayer Deg2rad Dense
    DepthToSpace DepthwiseConv DepthwiseConv1D DepthwiseConv2D Det Diag Diagflat Diagonal Dice
    Diff Digitize Discretization Divide DivideNoNan Dot DotProductAttention Dropout Dsplit
    Dstack ELU Eig Eigh Einsum EinsumDense ElasticTransform Elu Embedding EmptyLike Equal
    Equalization Erf Erfc Erfinv Exp Exp2 ExpandDims Expm1 ExponentialDecay ExtractPatches
    ExtractSequences F1Score FBetaScore FFT FFT2 Fabs FalseNegatives FalsePositives Feature
    Flatten Flip Fliplr Flipud Float8QuantizationConfig FloatDTypePolicy Floor FloorDivide Fmax
    Fmin Fmod Fold Ftrl Full FullLike Function Functional GPTQConfig GPTQDTypePolicy GRU GRUCell
    GaussianBlur GaussianDropout GaussianNoise Gcd Gelu Geomspace GetItem GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GlorotNormal GlorotUniform Glu Greater GreaterEqual GroupNormalization
    GroupQueryAttention HSVToRGB HardShrink HardSigmoid HardSilu HardTanh HashedCrossing Hashing
    HeNormal HeUniform Heaviside Hinge Histogram Hsplit Hstack Huber Hypot I0 IFFT2 IRFFT ISTFT
    Identity Imag InTopK IndexLookup Initializer Inner InputLayer InputSpec Int4DTypePolicy
    Int4QuantizationConfig Int8QuantizationConfig IntegerLookup Inv InverseTimeDecay IoU IsIn
    Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal JVP KLDivergence Kron L1 L1L2 L2 LSTM
    LSTMCell Lamb Layer LayerNorm LayerNormalization Lcm Ldexp LeakyReLU LeakyRelu
    LearningRateSchedule LecunNormal LecunUniform LeftShift Less LessEqual Linspace Lion Log
    Log10 Log1p Log2 LogCosh LogCoshError LogSigmoid LogSoftmax Logaddexp Logaddexp2 Logdet
    LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Logsumexp Loss LossScaleOptimizer Lstsq
    LuFactor MapCoordinates Masking Matmul MatrixRank Max MaxNorm MaxNumBoundingBoxes MaxPool
    MaxPooling1D MaxPooling2D MaxPooling3D Maximum Mean MeanAbsoluteError
    MeanAbsolutePercentageError MeanIoU MeanMetricWrapper MeanSquaredError
    MeanSquaredLogarithmicError Median MelSpectrogram Merge Meshgrid Metric Min MinMaxNorm
    Minimum MixUp Mod Model Moments Moveaxis MultiHeadAttention MultiHot MultiOptimizer Multiply
    Muon Nadam NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin
    Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter NonNeg
    Nonzero Norm Normalization Normalize NotEqual OneHot OneHotIoU OneHotMeanIoU Ones OnesLike
    Operation Optimizer OptimizerMap Orthogonal OrthogonalRegularizer Outer PReLU PSNR Pad
    PadImages PearsonCorrelation Percentile Permute PerspectiveTransform PiecewiseConstantDecay
    Pinv Pipeline Poisson Polar PolynomialDecay Power Precision PrecisionAtRecall Prod Ptp Qr
    Quantile QuantizationConfig QuantizedDTypePolicy QuantizedFloat8DTypePolicy Quantizer
    R2Score RFFT RGBToGrayscale RGBToHSV RMSNorm RMSNormalization RMSprop RNN Rad2deg
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
    RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHeight RandomHue RandomInvert RandomNormal RandomPerspective
    RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
    RandomTranslation RandomUniform RandomWidth RandomZoom Ravel ReLU Real Rearrange Recall
    RecallAtPrecision Reciprocal Regularizer Relu Relu6 Repeat RepeatVector Rescaling Reshape
    Resize Resizing ReversibleEmbedding RightShift Roll RootMeanSquaredError Rot90 Round Rsqrt
    SGD SSIM STFT STFTSpectrogram SVD SaturateCast ScaleAndTranslate Scatter ScatterUpdate
    ScheduleFreeAdamW SearchSorted SeedGenerator SegmentMax SegmentMin SegmentProd
    SegmentReduction SegmentSum Select Selu SensitivityAtSpecificity SeparableConv
    SeparableConv1D SeparableConv2D Sequential Sigmoid Sign Signbit Silu SimpleRNN SimpleRNNCell
    Sin Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges SoftShrink Softmax Softplus Softsign
    Solarization Solve SolveTriangular Sort SpaceToDepth SparseCategoricalAccuracy
    SparseCategoricalCrossentropy SparsePlus SparseSigmoid SparseTopKCategoricalAccuracy
    Sparsemax SpatialDropout1D SpatialDropout2D SpatialDropout3D SpecificityAtSensitivity
    SpectralNormalization Split Sqrt Square SquaredHinge Squareplus Squeeze Stack
    StackedRNNCells Std StopGradient StringLookup Subtract Sum Swapaxes TFDConcat TFDIdentity
    Take TakeAlongAxis Tan Tanh TanhShrink Tensordot TextVectorization Threshold ThresholdedReLU
    Tile TimeDistributed TopK TopKCategoricalAccuracy Trace Transpose Trapezoid Tril Triu
    TrueDivide TrueNegatives TruePositives Trunc TruncatedNormal Tversky Unfold Unique UnitNorm
    UnitNormalization UnravelIndex Unstack UpSampling1D UpSampling2D UpSampling3D Vander Var
    VarianceScaling Vdot View ViewAsComplex ViewAsReal Vsplit Vstack Where Wrapper ZeroPadding1D
    ZeroPadding2D ZeroPadding3D Zeros ZerosLike
    """.split()  # noqa: SIM905 (as a list, 500 lines)
)
# Activations, losses, metrics and operations, where Keras writes a function by its name.
FUNCTIONS = frozenset(
    """
    abs absolute adaptive_average_pool adaptive_max_pool add all allclose amax amin angle any
    append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin
    argpartition argsort array array_split average average_pool bartlett batch_normalization
    binary_accuracy binary_crossentropy binary_focal_crossentropy bincount bitwise_and
    bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor
    blackman broadcast_to cast categorical_accuracy categorical_crossentropy
    categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge cbrt
    cdist ceil celu cholesky cholesky_inverse circle clip concatenate concordance_correlation
    conj conjugate conv conv_transpose convert_to_numpy convert_to_tensor copy corrcoef
    correlate cos cosh cosine_similarity count_nonzero cross ctc ctc_decode ctc_loss cumprod
    cumsum deg2rad depth_to_space depthwise_conv det diag diagflat diagonal dice diff digitize
    divide divide_no_nan dot dot_product_attention dsplit dstack dtype eig eigh einsum elu empty
    empty_like equal erf erfc erfinv exp exp2 expand_dims expm1 exponential extract_sequences
    eye fabs fft fft2 flip fliplr flipud floor floor_divide fmax fmin fmod fold full full_like
    gcd gelu geomspace get_item glu greater greater_equal hamming hanning hard_shrink
    hard_sigmoid hard_silu hard_tanh heaviside hinge histogram hsplit hstack huber hypot i0
    identity ifft2 imag in_top_k inner inv irfft is_tensor isclose isfinite isin isinf isnan
    isneginf isposinf isreal istft jvp kaiser kl_divergence kron layer_normalization lcm ldexp
    leaky_relu left_shift less less_equal linear linspace log log10 log1p log2 log_cosh
    log_sigmoid log_softmax logaddexp logaddexp2 logdet logical_and logical_not logical_or
    logical_xor logspace logsumexp lstsq lu_factor matmul matrix_rank max max_pool maximum mean
    mean_absolute_error mean_absolute_percentage_error mean_squared_error
    mean_squared_logarithmic_error median meshgrid min minimum mish mod moments moveaxis
    multi_hot multiply nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean
    nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndim negative
    nextafter nonzero norm normalize not_equal one_hot ones ones_like outer pad
    pearson_correlation percentile pinv poisson polar power prod psnr ptp qr quantile rad2deg
    ravel real rearrange reciprocal relu relu6 repeat reshape rfft right_shift rms_normalization
    roll rot90 round rsqrt saturate_cast scatter scatter_update searchsorted segment_max
    segment_min segment_prod segment_sum select selu separable_conv shape sigmoid sign signbit
    silu sin sinc sinh size slice slice_update slogdet soft_shrink softmax softplus softsign
    solve solve_triangular sort space_to_depth sparse_categorical_accuracy
    sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparse_top_k_categorical_accuracy
    sparsemax split sqrt square squared_hinge squareplus squeeze stack std stft stop_gradient
    subtract sum svd swapaxes take take_along_axis tan tanh tanh_shrink tensordot threshold tile
    top_k top_k_categorical_accuracy trace transpose trapezoid tri tril triu true_divide trunc
    tversky unfold unique unravel_index unstack vander var vdot vectorize view view_as_complex
    view_as_real vsplit vstack where zeros zeros_like
    """.split()  # noqa: SIM905 (as a list, 500 lines)
)
