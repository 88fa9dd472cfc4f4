import Core

/// Weights as PyTorch has them: those of convolutions channels × inputs × height × width, ours channels × height × width ×
/// inputs; numbers of batches as 64-bit integers.
extension ParameterDescription {
    /// Its shape in a `state_dict`.
    var interchangeShape: [Int] { shape.count == 4 ? [shape[0], shape[3], shape[1], shape[2]] : shape }

    /// Whether it counts: one number, exact up to 2²⁴.
    var isCounter: Bool { role == .statistic && shape.isEmpty }

    /// Values in the other order: PyTorch's from ours, or ours from PyTorch's.
    func interchanged(_ values: HostBuffer<Float>, out: Bool) -> HostBuffer<Float> {
        guard shape.count == 4 else { return values }
        let (channels, taps, inputs) = (shape[0], shape[1] * shape[2], shape[3])
        let result = HostBuffer<Float>(uninitializedCount: values.count)
        for channel in 0..<channels {
            for tap in 0..<taps {
                for input in 0..<inputs {
                    let (own, other) = (
                        (channel * taps + tap) * inputs + input, (channel * inputs + input) * taps + tap
                    )
                    if out { result[other] = values[own] } else { result[own] = values[other] }
                }
            }
        }
        return result
    }
}

extension NetworkWeights {
    /// Reads the `state_dict` of a PyTorch network of the same layers, saved as safetensors. Throws ``DataError`` where a
    /// tensor is missing or of another shape.
    ///
    /// - Parameter prefix: what the names of the tensors begin with.
    public init(stateDict path: String, _ descriptions: [ParameterDescription], prefix: String = "") throws {
        let file = try SafetensorsFile(path: path)
        self.init(
            descriptions,
            values: try descriptions.map {
                if $0.isCounter { return HostBuffer([Float(try file.int64s(prefix + $0.name, shape: [])[0])]) }
                return $0.interchanged(try file.floats(prefix + $0.name, shape: $0.interchangeShape), out: false)
            })
    }
}
