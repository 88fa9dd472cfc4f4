/// Apus, a training engine for precision marketing, as one import.
///
/// The product that a service links: everything public of the targets below, re-exported.
@_exported import Charts
@_exported import Compute
@_exported import Core
@_exported import Devices
@_exported import Learners
@_exported import Tables
