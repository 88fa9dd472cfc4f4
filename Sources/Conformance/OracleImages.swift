import Compute

/// Windows of pictures and pooling, straight from their definitions.
extension Oracle {
    /// Calls with every pixel that a place of a window holds: place, tap, pixel; all counted over the batch.
    private static func forEach(
        _ grid: WindowGrid, images: Int, _ body: (_ place: Int, _ tap: Int, _ pixel: Int) -> Void
    ) {
        for image in 0..<images {
            for y in 0..<grid.outputHeight {
                for x in 0..<grid.outputWidth {
                    for v in 0..<grid.windowHeight {
                        for u in 0..<grid.windowWidth {
                            let (row, column) = (
                                y * grid.stride - grid.paddingHeight + v, x * grid.stride - grid.padding + u
                            )
                            guard (0..<grid.height).contains(row), (0..<grid.width).contains(column) else { continue }
                            body(
                                (image * grid.outputHeight + y) * grid.outputWidth + x, v * grid.windowWidth + u,
                                (image * grid.height + row) * grid.width + column)
                        }
                    }
                }
            }
        }
    }

    public static func unfold(_ input: [Double], _ grid: WindowGrid, channels: Int) -> [Double] {
        let images = input.count / channels / grid.inputPixels
        var output = [Double](repeating: 0, count: images * grid.outputPixels * grid.taps * channels)
        forEach(grid, images: images) { place, tap, pixel in
            for c in 0..<channels { output[(place * grid.taps + tap) * channels + c] = input[pixel * channels + c] }
        }
        return output
    }

    public static func fold(_ windows: [Double], _ grid: WindowGrid, channels: Int) -> [Double] {
        let images = windows.count / channels / grid.taps / grid.outputPixels
        var output = [Double](repeating: 0, count: images * grid.inputPixels * channels)
        forEach(grid, images: images) { place, tap, pixel in
            for c in 0..<channels { output[pixel * channels + c] += windows[(place * grid.taps + tap) * channels + c] }
        }
        return output
    }

    public static func pool(
        _ input: [Double], _ grid: WindowGrid, channels: Int, averages: Bool
    ) -> (values: [Double], places: [Int]) {
        let images = input.count / channels / grid.inputPixels
        let count = images * grid.outputPixels * channels
        var values = [Double](repeating: averages ? 0 : -.infinity, count: count)
        var (places, counts) = ([Int](repeating: -1, count: count), [Double](repeating: 0, count: count))
        forEach(grid, images: images) { place, tap, pixel in
            for c in 0..<channels {
                let (value, own) = (input[pixel * channels + c], place * channels + c)
                if averages {
                    values[own] += value
                    counts[own] += 1
                } else if places[own] < 0 || value > values[own] || value.isNaN && !values[own].isNaN {
                    (values[own], places[own]) = (value, tap)
                }
            }
        }
        if averages { for own in values.indices { values[own] /= counts[own] } }
        return (values, places)
    }

    public static func poolGradient(
        _ gradient: [Double], places: [Int], _ grid: WindowGrid, channels: Int, averages: Bool
    ) -> [Double] {
        let images = gradient.count / channels / grid.outputPixels
        var counts = [Double](repeating: 0, count: images * grid.outputPixels)
        forEach(grid, images: images) { place, _, _ in counts[place] += 1 }
        var output = [Double](repeating: 0, count: images * grid.inputPixels * channels)
        forEach(grid, images: images) { place, tap, pixel in
            for c in 0..<channels {
                let own = place * channels + c
                if averages {
                    output[pixel * channels + c] += gradient[own] / counts[place]
                } else if places[own] == tap {
                    output[pixel * channels + c] += gradient[own]
                }
            }
        }
        return output
    }
}

extension OracleBackend {
    func run(_ x: Unfold) throws(ComputeError) {
        let values = try matrix(x.input).elements
        try store(Oracle.unfold(values, x.grid, channels: x.input.columns).map { Float($0) }, to: x.output)
    }

    func run(_ x: Fold) throws(ComputeError) {
        let values = try matrix(x.windows).elements
        try store(Oracle.fold(values, x.grid, channels: x.output.columns).map { Float($0) }, to: x.output)
    }

    func run(_ x: Pool) throws(ComputeError) {
        let result = Oracle.pool(
            try matrix(x.input).elements, x.grid, channels: x.input.columns, averages: x.averages)
        try store(result.values.map { Float($0) }, to: x.output)
        if !x.averages { try store(result.places.map { Int32($0) }, to: x.places) }
    }

    func run(_ x: PoolGradient) throws(ComputeError) {
        let places = x.averages ? [] : try integers(x.places)
        let gradient = Oracle.poolGradient(
            try matrix(x.outputGradient).elements, places: places, x.grid, channels: x.inputGradient.columns,
            averages: x.averages)
        try store(gradient.map { Float($0) }, to: x.inputGradient)
    }
}
