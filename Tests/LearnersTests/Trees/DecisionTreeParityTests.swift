import Core
import FoundationEssentials
import Learners
import Testing

/// Trees by scikit-learn, node by node: `Fixtures/trees.py` wrote them.
struct DecisionTreeParityTests {
    private struct Fixture: Decodable {
        struct Case: Decodable {
            let criterion: TreeCriterion
            let classes: Int
            let depth: Int?
            let leaf: Double
            let alpha: Double
            let nodes: [[Double]]
            let importances: [Double]
        }
        let features: [Float]
        let number: [Float]
        let two: [Float]
        let three: [Float]
        let cases: [Case]
    }

    @Test func treesAreScikitLearns() throws {
        let path = String(#filePath.dropLast("Trees/DecisionTreeParityTests.swift".count)) + "Fixtures/trees.json"
        let fixture = try JSONDecoder().decode(Fixture.self, from: Data(try readBytes(path)))
        let features = HostMatrix(rows: fixture.number.count, columns: 4, elements: fixture.features)
        #expect(fixture.cases.count == 20)
        for expected in fixture.cases {
            let target = [0: fixture.number, 2: fixture.two, 3: fixture.three][expected.classes]!
            let data = try TreeData(
                features: features, kinds: [TreeFeatureKind](repeating: .number, count: 4), target: target,
                classes: expected.classes)
            var options = DecisionTree()
            options.pruningFolds = 0
            options.criterion = expected.criterion
            options.maximumDepth = expected.depth ?? 0
            options.minimumLeafRows = expected.leaf
            options.costComplexity = expected.alpha
            let model = try AveragedTrees.fitTree(data, options: options, threads: 2)
            let nodes = model.preorder(tree: 0)
            #expect(nodes.count == expected.nodes.count)
            for (found, node) in zip(nodes, expected.nodes) {
                #expect(found.feature == Int(node[0]))
                #expect(abs(Double(found.threshold) - node[1]) <= 1e-6 * max(1, abs(node[1])))
                // Of two classes we keep the second.
                let values = expected.classes == 2 ? [node[3]] : Array(node[2...])
                for (a, b) in zip(found.values, values) { #expect(abs(a - b) < 1e-5) }
            }
            for (a, b) in zip(model.importances, expected.importances) { #expect(abs(a - b) < 1e-5) }
        }
    }
}
