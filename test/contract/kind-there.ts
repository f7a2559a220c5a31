import { engineIsThere } from './compose-there.js'

/** Whether tests make a cluster: it takes minutes the first time, so somebody has to ask for it. */
export async function kindIsThere(): Promise<boolean> {
  const needed = (process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('kind')
  if (needed && !(await engineIsThere()))
    throw new Error('DEVSTACK_ENGINES=kind, but no Docker engine answers')
  return needed
}
