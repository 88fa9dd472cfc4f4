import Core
import FoundationEssentials
import Tables

/// Recipes as files.
enum RecipeFile {
    /// Reads a recipe. Throws ``DataError`` for a file that holds none.
    static func read(_ path: String) throws -> Recipe {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw SystemError(operation: "read", object: path, reason: "the file can't be read; check its name")
        }
        do {
            return try JSONDecoder().decode(Recipe.self, from: data)
        } catch {
            throw DataError("this is no recipe: \(error)", file: path)
        }
    }

    /// The text of a recipe, for people and for ``read(_:)``.
    static func text(_ recipe: Recipe) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(recipe), as: UTF8.self)
    }
}
