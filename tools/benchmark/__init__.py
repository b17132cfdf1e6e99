"""What an edit costs: its step beside the least that it could cost, in time and in memory."""
