/** On every object that devstack applies: what it was applied as. */
export const OBJECT_ANNOTATION = {
  /** {@link DesiredObject.hash}: the same where nothing has to be sent. */
  hash: 'devstack.dev/hash',
  /** {@link DesiredObject.fixedHash}: another one where the server would refuse the change. */
  fixedHash: 'devstack.dev/fixed-hash',
} as const
