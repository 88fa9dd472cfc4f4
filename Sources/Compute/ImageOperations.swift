/// Where a window goes on a picture. A batch of pictures is a matrix: a row is a pixel, its columns the channels; pixels
/// follow each other row by row, and picture by picture.
public struct WindowGrid: Sendable, Equatable {
    /// Extents of the picture.
    public let height: Int
    public let width: Int
    /// Extents of the window.
    public let windowHeight: Int
    public let windowWidth: Int
    /// How far the window moves.
    public let stride: Int
    /// Pixels around the picture that are not there: 0, or left out. A picture of height 1 has none above it.
    public let padding: Int

    public init(
        height: Int, width: Int, windowHeight: Int, windowWidth: Int, stride: Int = 1, padding: Int = 0
    ) {
        self.height = height
        self.width = width
        self.windowHeight = windowHeight
        self.windowWidth = windowWidth
        self.stride = stride
        self.padding = padding
    }

    /// Pixels above and below the picture.
    public var paddingHeight: Int { height == 1 && windowHeight == 1 ? 0 : padding }
    /// Places of the window from top to bottom.
    public var outputHeight: Int { (height + 2 * paddingHeight - windowHeight) / max(stride, 1) + 1 }
    /// Places of the window from left to right.
    public var outputWidth: Int { (width + 2 * padding - windowWidth) / max(stride, 1) + 1 }
    public var inputPixels: Int { height * width }
    public var outputPixels: Int { outputHeight * outputWidth }
    /// Pixels of the window.
    public var taps: Int { windowHeight * windowWidth }

    /// Whether every place of the window holds a pixel of the picture.
    var isSound: Bool {
        height > 0 && width > 0 && windowHeight > 0 && windowWidth > 0 && stride > 0 && padding >= 0
            && paddingHeight < windowHeight && padding < windowWidth && height + 2 * paddingHeight >= windowHeight
            && width + 2 * padding >= windowWidth
    }

    /// The numbers of the kernels' grid, in their order.
    public var numbers: [Int] {
        [height, width, windowHeight, windowWidth, outputHeight, outputWidth, stride, paddingHeight, padding]
    }
}

/// `output[(b, y, x), (tap, c)] = input[(b, y · stride − padding + tapY, x · stride − padding + tapX), c]`, 0 outside of the
/// picture: what a convolution multiplies with its weights.
public struct Unfold: Sendable {
    public let grid: WindowGrid
    /// (batch · pixels) × channels
    public let input: Matrix
    /// (batch · places) × (taps · channels)
    public let output: Matrix
}

/// The gradient of the input of ``Unfold``: for each pixel, the sum over the windows that hold it.
public struct Fold: Sendable {
    public let grid: WindowGrid
    /// (batch · places) × (taps · channels)
    public let windows: Matrix
    /// (batch · pixels) × channels
    public let output: Matrix
}

/// The largest value of every window and its place, the first of equals; or the mean of what lies within the picture.
public struct Pool: Sendable {
    public let grid: WindowGrid
    public let averages: Bool
    /// (batch · pixels) × channels
    public let input: Matrix
    /// (batch · places) × channels
    public let output: Matrix
    /// As the output, int32; not written for means.
    public let places: Matrix
}

/// The gradient of the input of ``Pool``.
public struct PoolGradient: Sendable {
    public let grid: WindowGrid
    public let averages: Bool
    public let outputGradient: Matrix
    public let places: Matrix
    public let inputGradient: Matrix
}

/// Convolutions and pooling.
extension Stream {
    /// The windows of pictures as rows; ``Unfold`` has their order.
    public func unfold(_ input: Matrix, _ grid: WindowGrid, into output: Matrix) throws(ComputeError) {
        try checkWindows(input, output, grid, columns: grid.taps, "unfold")
        try requireDisjoint(output, [input], "unfold")
        guard output.count > 0 else { return }
        try submit(.network(.unfold(Unfold(grid: grid, input: input, output: output))))
    }

    /// The sum over the windows that hold a pixel; the gradient of ``unfold(_:_:into:)``.
    public func fold(_ windows: Matrix, _ grid: WindowGrid, into output: Matrix) throws(ComputeError) {
        try checkWindows(output, windows, grid, columns: grid.taps, "fold")
        try requireDisjoint(output, [windows], "fold")
        guard output.count > 0 else { return }
        try submit(.network(.fold(Fold(grid: grid, windows: windows, output: output))))
    }

    /// The largest of every window, or with `averages` the mean.
    ///
    /// - Parameter places: as the output, int32: where in the window the largest was; not written for means.
    public func pool(
        _ input: Matrix, _ grid: WindowGrid, averages: Bool, into output: Matrix, places: Matrix
    ) throws(ComputeError) {
        try checkWindows(input, output, grid, columns: 1, "pool")
        try checkPlaces(places, output, "pool")
        try requireDisjoint(output, [input, places], "pool")
        try requireDisjoint(places, [input], "pool")
        guard output.count > 0 else { return }
        try submit(
            .network(.pool(Pool(grid: grid, averages: averages, input: input, output: output, places: places))))
    }

    /// The gradient of ``pool(_:_:averages:into:places:)``.
    public func poolGradient(
        _ outputGradient: Matrix, places: Matrix, _ grid: WindowGrid, averages: Bool, into inputGradient: Matrix
    ) throws(ComputeError) {
        let name = "poolGradient"
        try checkWindows(inputGradient, outputGradient, grid, columns: 1, name)
        try checkPlaces(places, outputGradient, name)
        try requireDisjoint(inputGradient, [outputGradient, places], name)
        guard inputGradient.count > 0 else { return }
        try submit(
            .network(
                .poolGradient(
                    PoolGradient(
                        grid: grid, averages: averages, outputGradient: outputGradient, places: places,
                        inputGradient: inputGradient))))
    }

    private func checkWindows(
        _ pixels: Matrix, _ windows: Matrix, _ grid: WindowGrid, columns: Int, _ name: String
    ) throws(ComputeError) {
        try check(pixels, name)
        try check(windows, name)
        try require(
            grid.isSound, name,
            "a window of \(grid.windowHeight) × \(grid.windowWidth), stride \(grid.stride), padding \(grid.padding) does not "
                + "fit \(grid.height) × \(grid.width)")
        try require(
            pixels.rows % grid.inputPixels == 0
                && windows.rows == pixels.rows / grid.inputPixels * grid.outputPixels
                && windows.columns == columns * pixels.columns, name,
            "pixels \(pixels.shape), windows \(windows.shape) of \(grid.outputHeight) × \(grid.outputWidth) places")
    }

    private func checkPlaces(_ places: Matrix, _ output: Matrix, _ name: String) throws(ComputeError) {
        try check(places, name, .int32)
        try require(
            places.rows == output.rows && places.columns == output.columns, name,
            "places \(places.shape), output \(output.shape)")
    }
}
