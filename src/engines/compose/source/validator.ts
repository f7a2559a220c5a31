import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import composeSchema from 'docker-compose/schema/compose-spec.json' with { type: 'json' }

// Half a megabyte of code and schema: import this module only where something must be explained. The library is imported by
// name here, and not where it is wanted: a bundle has no names for what is imported late.

/** The Compose schema as a function that finds all of its violations. */
export function compileSchema(): ValidateFunction {
  // The schema names its draft by an address that is not the draft's own; draft 7 is what Ajv speaks anyway.
  const { $schema: _, ...schema } = composeSchema
  const ajv = new Ajv({
    allErrors: true,
    strict: false,
    verbose: true,
    validateFormats: false,
    logger: false,
  })
  // Compose drops most repeated items itself, and Ajv compares them all with one another.
  ajv.removeKeyword('uniqueItems')
  return ajv.compile(schema)
}
