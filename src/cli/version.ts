declare const DEVSTACK_VERSION: string | undefined

/** The version of the package; set when it is bundled. */
export const version = typeof DEVSTACK_VERSION === 'undefined' ? '0.0.0-source' : DEVSTACK_VERSION
