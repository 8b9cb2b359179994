/** The server's words, by the names its description gives them. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Call = Schemas["Call"];
export type Cost = Schemas["Cost"];
export type CostRow = Schemas["CostRow"];
export type Family = Schemas["Family"];
export type Limit = Schemas["Limit"];
export type ListedCall = Schemas["ListedCall"];
export type ListedRun = Schemas["ListedRun"];
export type Marks = Schemas["Marks"];
export type MetricName = Schemas["MetricName"];
export type ModelSums = Schemas["ModelSums"];
export type Namespace = Schemas["Namespace"];
export type Overview = Schemas["Overview"];
export type Project = Schemas["Project"];
export type Prompt = Schemas["Prompt"];
export type Relative = Schemas["Relative"];
export type Run = Schemas["Run"];
export type RunPage = Schemas["RunPage"];
export type ShownEdit = Schemas["ShownEdit"];
export type Status = Run["status"];
