import Compute

/// Steps of small perceptrons.
enum PerceptronCases {
    private struct Shape {
        var inputs: Int
        var layers: [Int]
        var batch: Int
        var rows: Int
    }

    static func perceptronSteps(_ sweep: Sweep) -> [ConformanceCase] {
        var shapes = [
            Shape(inputs: 5, layers: [17, 1], batch: 7, rows: 18),
            Shape(inputs: 20, layers: [64, 64, 1], batch: 32, rows: 64),
            Shape(inputs: 1, layers: [1], batch: 1, rows: 2),
            Shape(inputs: 16, layers: [16, 33, 3], batch: 12, rows: 12),
        ]
        if sweep != .minimal {
            shapes += [
                Shape(inputs: 33, layers: [15, 48, 20], batch: 31, rows: 80),
                Shape(inputs: 3, layers: [65, 2], batch: 64, rows: 65),
                Shape(inputs: 100, layers: [8, 128, 96, 10], batch: 33, rows: 33),
            ]
        }
        if sweep == .full {
            shapes += [
                Shape(inputs: 17, layers: [31, 16, 17, 15, 32, 7], batch: 5, rows: 11),
                Shape(inputs: 200, layers: [129, 1], batch: 100, rows: 300),
            ]
        }
        let methods: [OptimizerMethod] = [
            .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), .gradientDescent(momentum: 0.9, nesterov: false),
            .gradientDescent(momentum: 0, nesterov: false), .adagrad(epsilon: 1e-8),
        ]
        return shapes.enumerated().flatMap { index, shape in
            methods.enumerated().filter { sweep == .full || ($0.offset + index) % 2 == 0 }.map {
                let method = $0.element
                let variant = index + $0.offset
                return ConformanceCase(
                    .perceptronSteps,
                    "\(shape.inputs)-\(shape.layers.map(String.init).joined(separator: "-")), \(shape.rows) rows by "
                        + "\(shape.batch), \(method)"
                ) { run throws(ComputeError) in try steps(run, shape, method, variant: variant) }
            }
        }
    }

    private static func steps(
        _ run: CaseRun, _ shape: Shape, _ method: OptimizerMethod, variant: Int
    ) throws(ComputeError) {
        let activations: [Activation] = [.relu, .tanh, .sigmoid]
        var (layers, end, width): ([OraclePerceptron.Layer], Int, Int) = ([], 3, shape.inputs)
        for (index, units) in shape.layers.enumerated() {
            // Gaps between the parts.
            let isLast = index == shape.layers.count - 1
            layers.append(
                OraclePerceptron.Layer(
                    inputs: width, outputs: units, weight: end, bias: end + width * units + 2,
                    activation: isLast ? .identity : activations[(index + variant) % 3]))
            end += width * units + 2 + units + 1
            width = units
        }
        let (needsFirst, needsSecond) =
            switch method {
            case .gradientDescent(let momentum, _): (momentum != 0, false)
            case .adam: (true, true)
            case .adagrad: (false, true)
            }
        let (values, firsts, seconds) = (run.uniform(end, -0.5, 0.5), run.uniform(end), run.uniform(end, 0.01, 1))
        let parameters = try run.output(rows: 1, columns: end, .padded, initial: values, "parameters")
        let first = needsFirst ? try run.output(rows: 1, columns: end, initial: firsts, "first") : nil
        let second = needsSecond ? try run.output(rows: 1, columns: end, initial: seconds, "second") : nil

        let tableRows = shape.rows + 5
        let table = OracleMatrix(
            rows: tableRows, columns: shape.inputs, run.uniform(tableRows * shape.inputs, -2, 2))
        let features = try run.input(
            table.elements.map(Float.init), rows: tableRows, columns: shape.inputs, .padded)
        let classes = width > 1 && variant % 2 == 0
        let smoothing: Float = variant % 4 == 0 ? 0.1 : 0
        let element: ElementLossFunction = variant % 3 == 0 ? .huber(delta: 0.5) : width == 1 ? .logistic : .squared
        let classOf = run.integers(tableRows, 0...max(width - 1, 1))
        let goal = OracleMatrix(
            rows: tableRows, columns: width, elements: run.integers(tableRows * width, 0...1).map(Double.init))
        let labels = try run.input(classOf.map(Int32.init), .padded)
        let targets = try run.input(goal.elements.map(Float.init), rows: tableRows, columns: width, .padded)
        let weighing = variant % 2 == 1 ? run.uniform(tableRows, 0.5, 2) : nil
        let weights = try weighing.map { w throws(ComputeError) in try run.vector(w, .padded) }
        let rows = run.integers(shape.rows, 0...tableRows - 1)
        let order = try run.input(rows.map(Int32.init), .padded)
        let steps = (shape.rows + shape.batch - 1) / shape.batch
        let control = (0..<steps).flatMap { [0.01, 1.5 - 0.1 * Float($0), 1.2, 1] as [Float] }
        let controls = try run.input(control, rows: steps, columns: 4)
        let total = try run.output(rows: 1, columns: 2, .padded, initial: [1, 1e-9], "total")
        let (l1, l2, decay): (Float, Float, Float) = variant % 3 == 1 ? (0.01, 0.1, 0.2) : (0, 0, 0)

        let base = parameters.matrix
        func window(_ offset: Int, _ rows: Int, _ columns: Int) throws(ComputeError) -> Matrix {
            try Matrix(
                storage: base.storage, elementType: .float32, offset: base.offset + offset, rows: rows,
                columns: columns, rowStride: columns)
        }
        var parts: [PerceptronLayer] = []
        for layer in layers {
            parts.append(
                PerceptronLayer(
                    weight: try window(layer.weight, layer.outputs, layer.inputs),
                    bias: try window(layer.bias, 1, layer.outputs), activation: layer.activation))
        }
        run.work = Double(6 * shape.rows * end)
        try run.perform { stream throws(ComputeError) in
            try stream.perceptronSteps(
                parts, method: method, parameters: base, first: first?.matrix, second: second?.matrix, l1: l1, l2: l2,
                decay: decay, features: features.matrix,
                loss: classes
                    ? .classes(labels: labels.matrix, smoothing: smoothing)
                    : .element(element, targets: targets.matrix), weights: weights?.matrix, order: order.matrix,
                batch: shape.batch, controls: controls.matrix, total: total.matrix)
        }

        var oracle = OraclePerceptron(
            layers: layers, method: method, parameters: values.map(Double.init),
            first: needsFirst ? firsts.map(Double.init) : nil, second: needsSecond ? seconds.map(Double.init) : nil,
            l1: Double(l1), l2: Double(l2), decay: Double(decay), features: table,
            loss: classes
                ? .classes(labels: classOf, smoothing: Double(smoothing)) : .element(element, targets: goal),
            weights: weighing?.map(Double.init))
        var sum = 1 + Double(Float(1e-9))
        for step in 0..<steps {
            sum += oracle.step(
                rows: Array(rows[step * shape.batch..<min((step + 1) * shape.batch, rows.count)]),
                controls: control[4 * step..<4 * step + 4].map(Double.init))
        }
        // The errors of the products pass through the layers and the steps; the moments are not near 0, so that the
        // optimizer does not magnify them.
        func close(_ expected: [Double]) -> (Int) -> Double { { 1e-5 * (1 + abs(expected[$0])) } }
        run.compare(parameters, oracle.parameters, tolerance: close(oracle.parameters))
        if let first { run.compare(first, oracle.first!, tolerance: close(oracle.first!)) }
        if let second { run.compare(second, oracle.second!, tolerance: close(oracle.second!)) }
        let result = run.values(of: total).map(Double.init)
        run.judge(result[0] + result[1], sum, 1e-5 * (abs(sum) + Double(rows.count))) { "the total" }
    }
}
