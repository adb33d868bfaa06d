/** Ids of the nodes that train; each gets the training panel. */
export const TRAIN_NODES = ['TICFTTrain', 'TuneAVideoTrain', 'FewShotMotionTrain', 'AICLTrain']
