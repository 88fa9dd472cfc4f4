import Core
import Tables

/// Recipes as files.
enum RecipeFile {
    /// Reads a recipe, YAML or JSON. Throws ``DataError`` for a file that holds none.
    static func read(_ path: String) throws -> Recipe { try Recipe(path: path) }

    /// The text of a recipe, for people and for ``read(_:)``.
    static func text(_ recipe: Recipe) throws -> String { recipe.yaml }
}
