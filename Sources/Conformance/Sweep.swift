/// How many shapes a suite tries.
public enum Sweep: String, Sendable, CaseIterable {
    /// Tiles −1, exact and +1 with more than one work-group, small enough for an interpreter such as Oclgrind.
    case minimal
    /// Every operation and every kind of argument: seconds on any device.
    case reduced
    /// All of it.
    case full

    /// Sizes around the register tiles (12 × 32), vectors (16) and work-groups (64, 128) of the kernels.
    var sizes: [Int] {
        switch self {
        case .minimal: [1, 11, 13, 17, 33]
        case .reduced: [0, 1, 2, 12, 15, 17, 33, 64, 65, 129]
        case .full: [0, 1, 2, 11, 12, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129]
        }
    }

    /// Rows and columns, every size in both places, beside unlike ones.
    var rectangles: [(Int, Int)] {
        var all: [(Int, Int)] = []
        for (index, size) in sizes.enumerated() {
            all.append((size, sizes[(index + 3) % sizes.count]))
            all.append((sizes[(index * 5 + 2) % sizes.count], size))
            if self == .full { all.append((size, size)) }
        }
        if self != .minimal { all += [(1, 1025), (1025, 1), (777, 35)] }
        if self == .full { all += [(3, 10_007), (10_007, 3), (4099, 130), (515, 513)] }
        return all.reduce(into: []) { unique, shape in
            if !unique.contains(where: { $0 == shape }) { unique.append(shape) }
        }
    }

    /// m, n and k of a product.
    var products: [(Int, Int, Int)] {
        var all: [(Int, Int, Int)] = []
        let count = sizes.count
        for (index, size) in sizes.enumerated() {
            all.append((size, sizes[(index + count / 3) % count], sizes[(index + 2 * count / 3) % count]))
            if self == .full {
                all.append((size, 33, 17))
                all.append((13, size, 65))
                all.append((31, 18, size))
            }
        }
        switch self {
        case .minimal: all += [(65, 63, 5), (12, 32, 16), (129, 3, 2)]
        case .reduced: all += [(200, 65, 257), (1, 500, 100), (500, 1, 100), (63, 127, 300)]
        case .full:
            all += [
                (257, 259, 515), (512, 64, 1000), (64, 1000, 512), (1, 1000, 300), (1000, 1, 300), (1, 1, 4097),
                (385, 97, 31), (6, 2000, 128), (256, 256, 256),
            ]
        }
        return all.reduce(into: []) { unique, shape in
            if !unique.contains(where: { $0 == shape }) { unique.append(shape) }
        }
    }

    /// Dimensions of the systems that `solveNormalEquations` solves.
    var dimensions: [Int] {
        switch self {
        case .minimal: [1, 7, 16, 33]
        case .reduced: [1, 2, 8, 17, 32, 33, 64, 129]
        case .full: [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 256, 257]
        }
    }
}
