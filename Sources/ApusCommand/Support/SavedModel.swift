import Core
import Learners

/// What a model file holds: the one place where the command goes by the `apus_kind` of a file.
enum SavedModel {
    /// Recommends items to users.
    case recommender
    /// Predicts a column of a table.
    case table
    /// Says which cluster the rows of a table, or points, belong to.
    case clusters
    /// Says how odd the rows of a table are.
    case isolationForest

    /// Looks into a file. Throws ``DataError`` for one that holds no model.
    init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        guard let kind = file.metadata["apus_kind"] else {
            throw DataError("this safetensors file was not written by Apus", file: path)
        }
        self =
            TableModel.isTableKind(kind)
            ? .table
            : kind == IsolationModel.kind
                ? .isolationForest : kind == SegmentModel.kind || kind == DensityModel.kind ? .clusters : .recommender
    }
}
