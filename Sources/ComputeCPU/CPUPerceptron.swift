import CVectorLoops
import Compute
import Core

/// Small perceptrons: all steps in one call, on the calling thread.
extension CPUBackend {
    func perceptronSteps(_ x: PerceptronSteps) {
        let (method, beta1, beta2, epsilon) = x.method.arguments
        var problem = apus_perceptron()
        problem.layer_count = Int64(x.layers.count)
        withUnsafeMutableBytes(of: &problem.layers) { bytes in
            let layers = bytes.bindMemory(to: apus_perceptron_layer.self)
            for (index, layer) in x.layers.enumerated() {
                layers[index] = apus_perceptron_layer(
                    inputs: Int64(layer.weight.columns), outputs: Int64(layer.weight.rows),
                    weight: Int64(layer.weight.offset - x.parameters.offset),
                    bias: Int64(layer.bias.offset - x.parameters.offset), activation: layer.activation.loopArgument)
            }
        }
        problem.parameters = x.parameters.floats
        problem.first = x.first?.floats
        problem.second = x.second?.floats
        problem.count = Int64(x.parameters.columns)
        (problem.method, problem.beta1, problem.beta2, problem.epsilon) = (method, beta1, beta2, epsilon)
        (problem.l1, problem.l2, problem.decay) = (x.l1, x.l2, x.decay)
        problem.features = UnsafePointer(x.features.floats)
        problem.feature_stride = x.features.stride
        switch x.loss {
        case .element(let function, let targets):
            problem.targets = UnsafePointer(targets.floats)
            problem.target_stride = targets.stride
            (problem.loss, problem.loss_parameter) = function.arguments
        case .classes(let labels, let smoothing):
            problem.labels = UnsafePointer(labels.pointer(as: Int32.self))
            problem.smoothing = smoothing
        }
        problem.weights = x.weights.map { UnsafePointer($0.floats) }
        problem.order = UnsafePointer(x.order.pointer(as: Int32.self))
        problem.rows = Int64(x.order.columns)
        problem.batch = Int64(x.batch)
        problem.controls = UnsafePointer(x.controls.floats)
        problem.total = x.total.floats
        let count = Int(apus_perceptron_scratch_floats(&problem))
        apus_perceptron_train(&problem, scratch(worker: 0, count: count))
    }
}
