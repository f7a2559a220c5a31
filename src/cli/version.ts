declare const DEVSTACK_VERSION: string | undefined
declare const DEVSTACK_BUILD: string | undefined

/** The version of the package; set when it is bundled. */
export const version = typeof DEVSTACK_VERSION === 'undefined' ? '0.0.0-source' : DEVSTACK_VERSION

/** Tells one bundle from another of the same version: a session whose bundle was replaced cannot load its parts any more. */
export const build = typeof DEVSTACK_BUILD === 'undefined' ? 'source' : DEVSTACK_BUILD
