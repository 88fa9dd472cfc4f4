import Compute

/// Windows of pictures, and pooling.
enum ImageCases {
    private struct Shape {
        let images: Int
        let channels: Int
        let grid: WindowGrid
        let layout: Layout

        var name: String {
            "\(images) × \(grid.height) × \(grid.width) × \(channels), window \(grid.windowHeight) × \(grid.windowWidth), "
                + "stride \(grid.stride), padding \(grid.padding) \(layout)"
        }
        var pixels: Int { images * grid.inputPixels }
        var places: Int { images * grid.outputPixels }
    }

    private static func shapes(_ sweep: Sweep) -> [Shape] {
        // Height, width, window, stride, padding.
        var grids = [(5, 7, 3, 3, 1, 1), (6, 6, 2, 2, 2, 0), (1, 9, 1, 3, 1, 1), (4, 5, 3, 2, 2, 1)]
        if sweep != .minimal {
            grids += [
                (9, 8, 5, 5, 1, 2), (7, 7, 3, 3, 3, 0), (12, 13, 3, 3, 2, 1), (1, 20, 1, 4, 3, 0), (3, 3, 3, 3, 1, 0),
            ]
        }
        if sweep == .full { grids += [(28, 28, 3, 3, 1, 1), (28, 28, 2, 2, 2, 0), (14, 15, 7, 5, 2, 2)] }
        return grids.enumerated().flatMap { index, g in
            (sweep == .full ? [1, 3, 16, 33] : [1, 17]).enumerated().map { place, channels in
                Shape(
                    images: [1, 3, 2][(index + place) % 3], channels: channels,
                    grid: WindowGrid(
                        height: g.0, width: g.1, windowHeight: g.2, windowWidth: g.3, stride: g.4, padding: g.5),
                    layout: Layout.all[(index + 2 * place) % 3])
            }
        }
    }

    static func unfold(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).map { shape in
            ConformanceCase(.unfold, shape.name) { run throws(ComputeError) in
                let values = run.uniform(shape.pixels * shape.channels)
                let input = try run.input(values, rows: shape.pixels, columns: shape.channels, shape.layout)
                let output = try run.output(
                    rows: shape.places, columns: shape.grid.taps * shape.channels, shape.layout)
                run.work = Double(8 * shape.places * shape.grid.taps * shape.channels)
                try run.perform { stream throws(ComputeError) in
                    try stream.unfold(input.matrix, shape.grid, into: output.matrix)
                }
                run.compareExactly(
                    output,
                    Oracle.unfold(values.map(Double.init), shape.grid, channels: shape.channels).map { Float($0) })
            }
        }
    }

    static func fold(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).map { shape in
            ConformanceCase(.fold, shape.name) { run throws(ComputeError) in
                let columns = shape.grid.taps * shape.channels
                let values = run.uniform(shape.places * columns)
                let windows = try run.input(values, rows: shape.places, columns: columns, shape.layout)
                let output = try run.output(rows: shape.pixels, columns: shape.channels, shape.layout)
                run.work = Double(8 * shape.places * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.fold(windows.matrix, shape.grid, into: output.matrix)
                }
                let wide = values.map(Double.init)
                let sizes = Oracle.fold(wide.map(abs), shape.grid, channels: shape.channels)
                run.compare(output, Oracle.fold(wide, shape.grid, channels: shape.channels)) {
                    Tolerance.sum(shape.grid.taps) * sizes[$0]
                }
            }
        }
    }

    static func pool(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).flatMap { shape in
            [false, true].map { averages in
                ConformanceCase(.pool, "\(averages ? "mean" : "maximum"), \(shape.name)") { run throws(ComputeError) in
                    // Integers: there are equals.
                    let values = run.integers(shape.pixels * shape.channels, -3...3).map { Float($0) }
                    let input = try run.input(values, rows: shape.pixels, columns: shape.channels, shape.layout)
                    let output = try run.output(rows: shape.places, columns: shape.channels, shape.layout)
                    let places = try run.integerOutput(rows: shape.places, columns: shape.channels, .padded)
                    run.work = Double(4 * shape.places * shape.grid.taps * shape.channels)
                    try run.perform { stream throws(ComputeError) in
                        try stream.pool(
                            input.matrix, shape.grid, averages: averages, into: output.matrix, places: places.matrix)
                    }
                    let expected = Oracle.pool(
                        values.map(Double.init), shape.grid, channels: shape.channels, averages: averages)
                    run.compare(output, expected.values) { _ in averages ? Tolerance.sum(shape.grid.taps) * 3 : 0 }
                    if !averages { run.compareExactly(places, expected.places.map { Int32($0) }) }
                }
            }
        }
    }

    static func poolGradient(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).flatMap { shape in
            [false, true].map { averages in
                ConformanceCase(.poolGradient, "\(averages ? "mean" : "maximum"), \(shape.name)") {
                    run throws(ComputeError) in
                    let values = run.integers(shape.pixels * shape.channels, -3...3).map(Double.init)
                    let places = Oracle.pool(values, shape.grid, channels: shape.channels, averages: false).places
                    let gradients = run.uniform(shape.places * shape.channels)
                    let outer = try run.input(gradients, rows: shape.places, columns: shape.channels, shape.layout)
                    let there = try run.input(
                        places.map { Int32($0) }, rows: shape.places, columns: shape.channels, .padded, "places")
                    let output = try run.output(rows: shape.pixels, columns: shape.channels, shape.layout)
                    run.work = Double(4 * shape.places * shape.grid.taps * shape.channels)
                    try run.perform { stream throws(ComputeError) in
                        try stream.poolGradient(
                            outer.matrix, places: there.matrix, shape.grid, averages: averages, into: output.matrix)
                    }
                    func expected(_ gradients: [Double]) -> [Double] {
                        Oracle.poolGradient(
                            gradients, places: places, shape.grid, channels: shape.channels, averages: averages)
                    }
                    let sizes = expected(gradients.map { abs(Double($0)) })
                    run.compare(output, expected(gradients.map(Double.init))) {
                        Tolerance.sum(shape.grid.taps) * sizes[$0]
                    }
                }
            }
        }
    }
}
