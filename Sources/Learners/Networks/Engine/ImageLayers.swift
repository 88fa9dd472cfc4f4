import Compute
import Core

/// Convolutions and pooling. A picture is a matrix with a row for each pixel.
extension LayerCompiler {
    /// y = f(windows of x · Wᵀ + b). Backward: dW = dzᵀ · windows, dx = the sum over the windows that hold a pixel of dz · W.
    func convolution(
        _ layer: ResolvedLayer, _ input: LayerFlow, _ grid: WindowGrid, _ fused: Activation?
    ) throws(ComputeError) -> LayerFlow {
        let taps = grid.taps * input.shape.columns
        let places = batch * grid.outputPixels
        // The windows give way to their own gradient, which is as large, when nothing needs them any more.
        let windows = try stream.allocate(rows: places, columns: taps)
        let hasGradient = training && input.gradient != nil
        let unfolded = LayerFlow(
            value: windows, gradient: nil, shape: LayerShape(rows: grid.outputPixels, columns: taps))
        add(
            forward: { stream throws(ComputeError) in try stream.unfold(input.value, grid, into: windows) },
            backward: { stream throws(ComputeError) in
                if hasGradient { try stream.fold(windows, grid, into: input.gradient!) }
            })
        var output = try product(
            unfolded, weight: "\(layer.name).weight", bias: "\(layer.name).bias", columns: layer.output.columns, fused,
            layer: layer.name, inputGradient: hasGradient ? windows : nil)
        output.shape = layer.output
        return output
    }

    /// The largest or the mean of every window.
    func pooling(
        _ layer: ResolvedLayer, _ input: LayerFlow, _ grid: WindowGrid, averages: Bool
    ) throws(ComputeError) -> LayerFlow {
        let output = try flow(layer.output)
        let places = try stream.allocate(rows: output.value.rows, columns: output.value.columns, .int32)
        add(
            forward: { stream throws(ComputeError) in
                try stream.pool(input.value, grid, averages: averages, into: output.value, places: places)
            },
            backward: { stream throws(ComputeError) in
                guard let inputGradient = input.gradient else { return }
                try stream.poolGradient(
                    output.gradient!, places: places, grid, averages: averages, into: inputGradient)
            })
        return output
    }
}

extension LayerShape {
    /// Where a window goes on a picture of this shape; a sequence is a picture of height 1.
    func grid(_ window: (height: Int, width: Int), stride: Int, padding: Int) -> WindowGrid {
        WindowGrid(
            height: width.map { rows / $0 } ?? 1, width: width ?? rows, windowHeight: window.height,
            windowWidth: window.width, stride: stride, padding: padding)
    }

    /// Height and width of a picture; a sequence has height 1.
    var picture: (height: Int, width: Int) { (width.map { rows / $0 } ?? 1, width ?? rows) }
}

extension ResolvedLayer {
    /// Where the window of a convolution or of pooling goes; nil for other layers.
    var grid: WindowGrid? {
        switch specification {
        case .convolution(_, let height, let width, let stride, let padding):
            input.grid((height, width), stride: stride, padding: padding)
        case .pooling(_, let height, let width, let stride): input.grid((height, width), stride: stride, padding: 0)
        case .globalMean: input.grid(input.picture, stride: 1, padding: 0)
        default: nil
        }
    }
}
