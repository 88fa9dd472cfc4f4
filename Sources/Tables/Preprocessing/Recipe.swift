import Core

/// What is done to a table before a learner sees it: steps, one after another.
///
/// A recipe is fitted on training rows only, and then applied to any rows. What no step has turned into numbers is
/// handed on at the end: categories as the positions of their levels, dates as seconds since 1970; texts and
/// identifiers are left out.
public struct Recipe: Sendable, Codable, Equatable {
    public var steps: [RecipeStep]

    public init(_ steps: [RecipeStep] = []) { self.steps = steps }

    /// For linear models, nets, K-means and neighbours: no missing value is left, numbers have mean 0 and standard
    /// deviation 1, categories are columns of 0 and 1. Levels below 0.1 % of the rows are grouped.
    ///
    /// - Parameter texts: columns of text to be taken word by word; other texts are left out.
    public static func linear(texts: [String] = []) -> Recipe {
        Recipe(
            textSteps(texts) + [
                .dates(.dates, parts: [.year, .season, .weekday, .days]),
                .impute(.numbers, with: .mean, indicator: true),
                .scale(.numbers, .standard),
                .rare(.categories, minimumShare: 0.001),
                .oneHot(.categories),
            ])
    }

    /// For trees: categories as codes, missing values left in.
    public static func native(texts: [String] = []) -> Recipe {
        Recipe(textSteps(texts) + [.dates(.dates, parts: [.year, .month, .weekday, .days])])
    }

    /// For networks with tables of vectors: numbers as in ``linear(texts:)``, categories as codes. Levels seen less often
    /// than `minimumCount` times become one, which unseen levels share.
    ///
    /// - Parameter buckets: columns with more levels are hashed to so many codes; 0 for never.
    public static func coded(texts: [String] = [], minimumCount: Int = 2, buckets: Int = 0) -> Recipe {
        Recipe(
            textSteps(texts) + [
                .dates(.dates, parts: [.year, .season, .weekday, .days]),
                .impute(.numbers, with: .mean, indicator: true),
                .scale(.numbers, .standard),
            ] + (buckets > 0 ? [.bucket(.categories, buckets: buckets)] : [])
                + [.rare(.categories, minimumShare: 0, minimumCount: minimumCount)])
    }

    /// For networks that read sequences: the events of the columns named, and the rest as ``coded(texts:minimumCount:buckets:)``
    /// has it.
    public static func sequences(
        _ columns: [String], length: Int, minimumCount: Int, separator: String
    ) -> Recipe {
        Recipe(
            [.sequence(.named(columns), length: length, minimumCount: minimumCount, separator: separator)]
                + coded(minimumCount: minimumCount).steps)
    }

    /// For naive Bayes on text: counts of words, and nothing scaled.
    public static func counts(texts: [String]) -> Recipe {
        Recipe([
            .text(.named(texts), weights: .counts), .dates(.dates, parts: [.year, .month, .weekday]),
            .impute(.numbers, with: .mean), .rare(.categories, minimumShare: 0.001), .oneHot(.categories),
        ])
    }

    private static func textSteps(_ texts: [String]) -> [RecipeStep] {
        texts.isEmpty ? [] : [.text(.named(texts))]
    }

    /// Learns from the training rows what the steps need.
    ///
    /// - Parameters:
    ///   - table: the training rows, without the column to be predicted.
    ///   - target: what is to be predicted, for ``RecipeStep/target(_:smoothing:folds:)``.
    ///   - seed: decides the folds of target encoding.
    /// - Throws: ``Core/DataError`` for columns that are not there or not of the type a step needs,
    ///   ``Core/ParameterError`` for parameters out of range and for a target encoding without a target.
    public func fit(_ table: Table, target: RecipeTarget? = nil, seed: UInt64 = 42) throws -> FittedRecipe {
        try fitAndApply(table, target: target, seed: seed).recipe
    }

    /// As ``fit(_:target:seed:)``, with the features of the training rows. These are the ones to train on: target
    /// encodings of a training row leave its own fold out, those of ``FittedRecipe/apply(_:)`` don't.
    public func fitAndApply(
        _ table: Table, target: RecipeTarget? = nil, seed: UInt64 = 42
    ) throws -> (recipe: FittedRecipe, features: Features) {
        let (recipe, working) = try fitting(table, target: target, seed: seed)
        guard !recipe.features.isEmpty else {
            throw DataError("no feature is left; the columns are \(Table.listed(table.columnNames))")
        }
        return (recipe, try working.features(recipe.features, sparse: recipe.sparse))
    }

    /// Fits the steps one after another, and does each.
    func fitting(
        _ table: Table, target: RecipeTarget?, seed: UInt64
    ) throws -> (recipe: FittedRecipe, table: WorkingTable) {
        guard table.rowCount > 0 else { throw DataError("there are no rows to learn from") }
        if let target, target.count != table.rowCount {
            throw ParameterError("target", "there are \(target.count) values for \(table.rowCount) rows")
        }
        var working = WorkingTable(table)
        var fitted: [FittedStep] = []
        var notes: [String] = []
        for step in steps {
            let fit = RecipeFitting(target: target, seed: seed)
            let learned = try fit.fit(step, &working)
            notes += fit.notes
            fitted += learned
        }
        // Codes mean the levels of training, whatever order a later file has them in.
        for column in working.columns {
            if case .category(_, let levels) = column.values {
                fitted.append(.levels(column: column.name, levels: levels))
            }
        }
        let (descriptions, sparse) = working.descriptions(&notes)
        let sources = Set(descriptions.map(\.source))
        let inputs = table.columns.filter { sources.contains($0.name) }
            .map { TableSchema.Entry(name: $0.name, type: $0.type) }
        let recipe = FittedRecipe(
            recipe: self, inputs: TableSchema(columns: inputs), steps: fitted, features: descriptions, sparse: sparse,
            notes: notes)
        return (recipe, working)
    }
}

/// What is to be predicted, as far as preprocessing looks at it.
public enum RecipeTarget: Sendable {
    /// Numbers, or 0 and 1.
    case values([Double])
    /// Classes 0 ..< count.
    case classes([Int32], count: Int)

    public var count: Int {
        switch self {
        case .values(let values): values.count
        case .classes(let codes, _): codes.count
        }
    }
}
