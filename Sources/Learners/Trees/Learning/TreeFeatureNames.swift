import Core
import Tables

extension FeatureDescription {
    var treeKind: TreeFeatureKind {
        switch kind {
        case .number: .number
        case .category(let levels): .category(levels: levels.count)
        case .event: .number
        }
    }
}

extension TreeFeatureNames {
    init(_ columns: [FeatureDescription]) {
        self.init(
            columns: columns.map(\.name),
            levels: columns.map { if case .category(let levels) = $0.kind { levels } else { [] } })
    }
}
